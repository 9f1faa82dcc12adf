"""One record an outcome; the names of its events are API, and documented."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from rmqwork._config.logging import FIELDS
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.task_log import report
from rmqwork.types import (
    Evidence,
    Failure,
    Outcome,
    Reason,
    Replaced,
    RetryOutcome,
    Success,
)
from tests.unit.fakes import delivery

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "workers.md"
EVIDENCE = Evidence("shop.Busy", "x" * 400, "")
OUTCOMES: list[tuple[Outcome | None, int, str, dict[str, Any]]] = [
    (None, logging.INFO, "handed back", {}),
    (Success(0.5), logging.INFO, "succeeded", {"duration_ms": 500}),
    (Replaced(0.5, b"{}"), logging.INFO, "replaced", {"duration_ms": 500}),
    (
        RetryOutcome(0.5, 2.0, True, EVIDENCE),
        logging.WARNING,
        "retry",
        {"duration_ms": 500, "retry_in_s": 2, "error": "shop.Busy", "message": "x" * 300},
    ),
    (
        Failure(0.5, Reason.FAILED, EVIDENCE),
        logging.WARNING,
        "dead-lettered",
        {"duration_ms": 500, "reason": "failed", "error": "shop.Busy", "message": "x" * 300},
    ),
]


@pytest.mark.parametrize(("outcome", "level", "event", "fields"), OUTCOMES)
def test_each_outcome_is_one_record(
    outcome: Outcome | None,
    level: int,
    event: str,
    fields: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
):
    held = HeldDelivery(1, delivery(type="shop.add"), "q", "id-1", 3)

    with caplog.at_level(logging.INFO):
        report(held, outcome)

    [record] = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == ("rmqwork.tasks", level, event)
    ids = {"task_id": "id-1", "task": "shop.add", "queue": "q", "attempt": 3}
    assert getattr(record, FIELDS) == ids | fields


def test_a_level_that_is_not_logged_costs_no_record(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        report(HeldDelivery(1, delivery(), "q", "id-1", 1), Success(0.5))

    assert caplog.records == []


def test_the_events_are_those_of_the_documentation():
    [sentence] = re.findall(r"`event` is (.*?);", PAGE.read_text(), re.DOTALL)
    named = re.sub(r"\(.*?\)", "", sentence)

    assert set(re.findall(r"`([^`]+)`", named)) == {event for _, _, event, _ in OUTCOMES}
