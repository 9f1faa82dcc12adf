"""One log line for each outcome; the names of its events are API, and documented."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from rmqwork._config.logging import FIELDS
from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.policy.task_log import report
from rmqwork.types import Evidence, Failure, Outcome, Reason, Replaced, RetryOutcome, Success
from tests.unit.fakes import delivery

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "workers.md"
EVIDENCE = Evidence("ValueError", "x" * 400)
IDS = {"task_id": "id-1", "task": "shop.task", "queue": "q", "attempt": 2}
ERROR = {"error": "ValueError", "message": "x" * 300}
OUTCOMES: list[tuple[Outcome | None, str, str, dict[str, object]]] = [
    (None, "INFO", "handed back", {}),
    (Success(0.0123456), "INFO", "succeeded", {"duration_ms": 12.35}),
    (Replaced(0.5, b"{}"), "INFO", "replaced", {"duration_ms": 500.0}),
    (
        RetryOutcome(0.5, 1.23456, True, EVIDENCE),
        "WARNING",
        "retry",
        {"duration_ms": 500.0, "retry_in_s": 1.235, **ERROR},
    ),
    (
        Failure(0.5, Reason.TIME_LIMIT, EVIDENCE),
        "WARNING",
        "dead-lettered",
        {"duration_ms": 500.0, "reason": "time-limit", **ERROR},
    ),
]


@pytest.mark.parametrize(
    ("outcome", "level", "event", "fields"),
    OUTCOMES,
)
def test_it_tells_the_ids_and_what_became_of_it(
    outcome: Outcome | None,
    level: str,
    event: str,
    fields: dict[str, object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "rmqwork.tasks")

    report(HeldDelivery(7, delivery(), "q", "id-1", 2), outcome)

    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("rmqwork.tasks", level, event)
    assert getattr(record, FIELDS) == IDS | fields


def test_what_is_not_wanted_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "rmqwork.tasks")
    held = HeldDelivery(7, delivery(), "q", "id-1", 2)

    report(held, Success(0.1))
    report(held, Failure(0.1, Reason.FAILED, EVIDENCE))

    assert [record.getMessage() for record in caplog.records] == ["dead-lettered"]


def test_the_events_are_those_of_the_documentation() -> None:
    [sentence] = re.findall(r"`event` is (.*?);", PAGE.read_text(), re.DOTALL)
    named = re.sub(r"\(.*?\)", "", sentence)

    assert set(re.findall(r"`([^`]+)`", named)) == {event for _, _, event, _ in OUTCOMES}
