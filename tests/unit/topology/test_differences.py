"""Which differences of a queue matter."""

from __future__ import annotations

import pytest

from rmqwork._topology.differences import Difference, with_property
from rmqwork._topology.topology import Bind, DeclareExchange, DeclareQueue


@pytest.mark.parametrize(
    ("kind", "attribute", "suits"),
    [
        ("queue", "x-queue-type", False),
        ("queue", "durable", False),
        ("queue", "x-dead-letter-exchange", False),
        ("queue", "x-dead-letter-routing-key", False),
        ("queue", "x-max-length", True),
        ("queue", "x-delivery-limit", True),
        ("queue", "x-message-ttl", True),
        ("exchange", "type", False),
        ("exchange", "durable", False),
        ("exchange", "alternate-exchange", True),
    ],
)
def test_what_keeps_messages_safe_must_be_alike(kind, attribute: str, suits: bool):
    difference = Difference(kind, "n", attribute, "ours", None)

    assert difference.suits is suits
    assert str(difference) == f"{kind} 'n': {attribute} is absent on the broker, ours in the app"


def test_with_property_changes_one_argument():
    queue = DeclareQueue("q", {"a": 1, "b": 2})

    assert with_property(queue, "a", 3) == DeclareQueue("q", {"a": 3, "b": 2})
    assert with_property(queue, "a", None) == DeclareQueue("q", {"b": 2})
    assert with_property(DeclareExchange("x", "topic"), "type", "direct") == DeclareExchange(
        "x", "direct"
    )
    with pytest.raises(TypeError):
        with_property(Bind("x", "q"), "a", 1)
