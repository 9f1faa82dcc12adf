"""The queues in which groups are joined."""

from __future__ import annotations

from collections import Counter

from rmqwork._topology import join_queues
from rmqwork._topology.topology import DeclareQueue


def test_a_group_is_joined_in_the_same_queue_by_all_processes_and_versions() -> None:
    found = [join_queues.queue_of(join) for join in ("a", "b", "group-1", "größe")]
    assert found == [f"rmqwork.joins.{number}" for number in (3, 1, 0, 1)]


def test_groups_are_spread_over_all_queues() -> None:
    counts = Counter(join_queues.queue_of(f"group-{number}") for number in range(4000))

    assert set(counts) == set(join_queues.names())
    assert all(800 < count < 1200 for count in counts.values())


def test_the_queues_lose_nothing() -> None:
    letters, *queues = join_queues.plan()

    assert isinstance(letters, DeclareQueue)
    assert letters.name == "rmqwork.joins.dlq"
    assert tuple(queue.name for queue in queues if isinstance(queue, DeclareQueue)) == (
        join_queues.names()
    )
    for queue in queues:
        assert isinstance(queue, DeclareQueue)
        assert queue.arguments["x-queue-type"] == "quorum"
        assert queue.arguments["x-single-active-consumer"] is True
        assert queue.arguments["x-dead-letter-routing-key"] == letters.name
        assert queue.arguments["x-dead-letter-strategy"] == "at-least-once"
        assert queue.arguments["x-overflow"] == "reject-publish"
