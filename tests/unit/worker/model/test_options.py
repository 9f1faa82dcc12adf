"""What a worker is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmqwork._worker.model.options import parse_queues

if TYPE_CHECKING:
    pass


def test_queues_in_strict_order_or_by_weight() -> None:
    assert parse_queues("a") == [("a", None)]
    assert parse_queues("a, b") == [("a", None), ("b", None)]
    assert parse_queues("a:3,b:1") == [("a", 3), ("b", 1)]
    assert parse_queues("urn:x:3") == [("urn:x", 3)]
