"""Addresses of brokers in memory."""

from __future__ import annotations

import pytest

from rmqwork._transport.connecting import connect
from rmqwork._transport.memory.connector import memory_broker
from rmqwork.errors import ConfigurationError


def test_an_address_is_one_broker_in_this_process():
    one, two = connect(["memory://here"]), connect(["memory://here"])
    assert one.broker is two.broker is memory_broker("here")  # type: ignore[attr-defined]
    assert connect(["memory://"]).broker is not memory_broker("here")  # type: ignore[attr-defined]
    assert one.label == "memory://here"
    for wrong in (["memory://a", "memory://b"], ["memory://a", "amqp://b"], ["memory://a/vhost"]):
        with pytest.raises(ConfigurationError):
            connect(wrong)
