"""The key in a message that chooses a partition."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

import pytest
from pydantic import BaseModel

from rmqwork import InvalidMessage, TaskMessage
from rmqwork._messages.partition_keys import key_of


class Colour(StrEnum):
    RED = "red"


class Customer(BaseModel):
    id: int


class Ship(TaskMessage, name="orders.ship", queue="orders", partition_key="customer.id"):
    customer: Customer


class TestKey:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("x", "x"),
            (12, "12"),
            (Colour.RED, "red"),
            (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ],
    )
    def test_of_arguments(self, value: object, text: str):
        assert key_of({"key": value}, "key", "t") == text

    def test_of_a_field_of_a_field(self):
        assert key_of(Ship(customer=Customer(id=5)), "customer.id", "t") == "5"

    @pytest.mark.parametrize("value", [None, 1.5, True, [1], {"a": 1}, object()])
    def test_what_is_no_key(self, value: object):
        with pytest.raises(InvalidMessage, match=r"t: its partition key 'key' is .*text"):
            key_of({"key": value}, "key", "t")

    def test_what_is_not_there(self):
        with pytest.raises(InvalidMessage, match="'other' is not known when it is published"):
            key_of({"key": 1}, "other", "t")
