"""What a user of a broker in memory may do."""

from __future__ import annotations

import pytest

from rmqwork._transport.memory.permissions import Rights
from rmqwork._transport.port import ChannelClosed


@pytest.mark.parametrize(
    ("pattern", "name", "may"),
    [
        (".*", "q", True),
        ("^shop\\.", "shop.orders", True),
        ("^shop\\.", "other.shop.", False),
        ("orders", "shop.orders.dlq", True),
        ("", "q", False),
        ("^$", "q", False),
    ],
)
def test_a_pattern_is_found_anywhere_in_a_name(pattern: str, name: str, may: bool) -> None:
    rights = Rights(user="me")
    if may:
        rights.check(pattern, "queue", name)
        return
    with pytest.raises(ChannelClosed, match=f"queue '{name}' in vhost '/' refused for user 'me'"):
        rights.check(pattern, "queue", name)


def test_the_default_exchange_has_the_brokers_name_for_it() -> None:
    Rights().check("^amq\\.default$", "exchange", "")
    with pytest.raises(ChannelClosed, match=r"exchange 'amq\.default'"):
        Rights().check("^mine$", "exchange", "")


def test_routing_keys_are_restricted_only_where_a_pattern_is_given() -> None:
    rights = Rights(topics={"events": "^a\\."})

    rights.check_topic("events", "a.b")
    rights.check_topic("others", "b.a")
    with pytest.raises(ChannelClosed, match=r"topic 'b\.a' in exchange 'events'"):
        rights.check_topic("events", "b.a")
