"""What a migration does next, seen from what the broker has."""

from __future__ import annotations

import pytest

from rmqwork import App, Queue
from rmqwork._admin.provision.found import Found, FoundQueue
from rmqwork._admin.provision.looking import whole_plan
from rmqwork._admin.provision.migration import Phase, phase, waiting_room, wanted_queue
from rmqwork._admin.provision.moving import moved
from rmqwork._topology.differences import Difference
from rmqwork.errors import ConfigurationError
from rmqwork.types import Delivery

PLAN = whole_plan(App("shop", queues=[Queue("q")]))
WANTED = wanted_queue("q", PLAN)
NEW = FoundQueue("q", "quorum", arguments=dict(WANTED.arguments))
OLD = FoundQueue("q", "classic")
ROOM = FoundQueue(waiting_room("q"), "quorum")


@pytest.mark.parametrize(
    ("queues", "expected"),
    [
        ([OLD], Phase.EMPTY_OLD),
        ([OLD, ROOM], Phase.EMPTY_OLD),  # killed while the old queue was emptied
        ([ROOM], Phase.FILL_NEW),  # killed between deleting and declaring
        ([NEW, ROOM], Phase.FILL_NEW),  # killed while the new queue was filled
        ([NEW], Phase.DONE),
        ([], Phase.DONE),
    ],
)
def test_the_broker_alone_knows_how_far_it_has_come(
    queues: list[FoundQueue], expected: Phase
) -> None:
    assert phase(WANTED, Found({queue.name: queue for queue in queues})) is expected


def test_only_queues_of_the_app_are_migrated() -> None:
    with pytest.raises(ConfigurationError, match="no queue 'else'"):
        wanted_queue("else", PLAN)


def test_a_message_moves_with_all_that_it_needs() -> None:
    delivery = Delivery(
        None, 1, "q", "rmqwork.tasks", "q", True, b"{}", {"x-delivery-count": 3, "own": "h"},
        "id1", "shop.add", "application/json", None, "c", "r", 5, 7, "shop",
    )  # fmt: skip
    made = moved(delivery, "q.migrating")
    assert (made.exchange, made.routing_key, made.message_id) == ("", "q.migrating", "id1")
    assert made.headers == {
        "rmqwork-exchange": "rmqwork.tasks",
        "rmqwork-routing-key": "q",
        "own": "h",
    }
    assert (made.reply_to, made.priority, made.timestamp) == ("r", 5, 7)
    # and the second move keeps where it was first published
    delivery.exchange, delivery.headers = "", made.headers
    assert moved(delivery, "q").headers == made.headers


def test_a_quorum_queue_suits_an_app_that_says_classic_and_not_the_other_way() -> None:
    assert Difference("queue", "q", "x-queue-type", "classic", "quorum").suits
    assert not Difference("queue", "q", "x-queue-type", "quorum", "classic").suits
