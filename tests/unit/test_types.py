"""Values that travel between the layers."""

from __future__ import annotations

from dataclasses import fields

from rmqwork.types import Delivery, Publication


def test_a_copy_of_a_delivery_has_its_body_and_all_its_properties():
    properties = {field.name for field in fields(Delivery)} & {
        field.name for field in fields(Publication)
    } - {"exchange", "routing_key", "headers", "message_id"}
    given = {name: f"the {name}" for name in properties}
    delivery = Delivery(
        **{field.name: None for field in fields(Delivery)}
        | {"exchange": "old", "routing_key": "old", "headers": {"old": 1}, "message_id": None}
        | given
    )

    copy = Publication.copy_of(delivery, "x", "k", message_id="id", headers={"new": 2}, due=3.0)

    assert {name: getattr(copy, name) for name in properties} == given
    assert (copy.exchange, copy.routing_key, copy.message_id) == ("x", "k", "id")
    assert (copy.headers, copy.due) == ({"new": 2}, 3.0)
    assert properties == {field.name for field in fields(Publication)} - {
        "exchange", "routing_key", "message_id", "headers", "due",
    }  # fmt: skip
