"""A priority that means nothing is said once for each queue."""

from __future__ import annotations

from typing import Any

import pytest

from rmqwork._publisher.priorities import IgnoredPriorities
from rmqwork._topology.topology import Queue, app_declarations
from tests.unit.fakes import FakeConnector, FakeLink, publication

PLAN = app_declarations(
    [Queue("plain", type="classic"), Queue("able", type="classic", max_priority=5), Queue("quorum")]
)


def link(*version: int) -> Any:
    connector = FakeConnector()
    connector.version = version  # type: ignore[assignment]
    return FakeLink(connector)


@pytest.mark.parametrize(
    ("queue", "version", "said"),
    [
        ("plain", (4, 3, 0), "it is a classic queue without max_priority"),
        ("plain", (3, 10, 0), "it is a classic queue without max_priority"),
        ("quorum", (3, 13, 7), "has no priorities on quorum queues"),
        ("elsewhere", (3, 13, 7), "has no priorities on quorum queues"),
        ("quorum", (4, 0, 0), None),
        ("able", (3, 10, 0), None),
        ("elsewhere", (4, 3, 0), None),
    ],
)
def test_where_it_has_no_effect(
    queue: str, version: tuple[int, ...], said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    priorities = IgnoredPriorities(PLAN)
    for _ in range(3):
        priorities.check(publication(routing_key=queue, priority=3), link(*version))

    messages = [text for text in caplog.messages if "no effect" in text]
    assert len(messages) == (0 if said is None else 1)
    assert said is None or said in messages[0]
