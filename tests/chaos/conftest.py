"""Brokers to break: each test module has one of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rmqwork.testing.broker import Broker
from tests.requirements import require_broker


@pytest.fixture(scope="module")
def own_broker() -> Iterator[Broker]:
    """A RabbitMQ that nobody else uses, with the waits that a real one needs."""
    given = os.environ.get("RMQWORK_TEST_BROKER") in (None, "", "given")
    before = os.environ.pop("RMQWORK_NEW_QUEUE_WAIT", None)  # here the broker is killed
    try:
        with require_broker(prefer="docker" if given else None) as broker:
            yield broker
    finally:
        if before is not None:
            os.environ["RMQWORK_NEW_QUEUE_WAIT"] = before
