"""What may become what, by the schemas of both."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, BeforeValidator, HttpUrl

from rmqwork._canvas.schemas import EACH, given_schema, incompatibility, taken_schema


class A(BaseModel):
    x: int
    y: str


class B(BaseModel):
    x: int


class C(BaseModel):
    x: int
    z: int


class D(BaseModel, extra="forbid"):
    x: int


class Links(BaseModel):
    url: HttpUrl
    x: int


class Tree(BaseModel):
    children: list[Tree]


class Colour(StrEnum):
    RED = "red"


Split = Annotated[list[str], BeforeValidator(lambda text: text.split(","))]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (int, int),
        (int, float),
        (float, int),
        (bool, int),
        (Any, int),
        (int, Any),
        (object, str),
        (int | None, int),
        (int, int | str),
        (int, datetime),
        (datetime, str),
        (str, datetime),
        (Decimal, str),
        (bytes, str),
        (Colour, str),
        (Literal["red"], Colour),
        (A, B),
        (A, dict[str, Any]),
        (dict[str, int], B),
        (list[A], list[B]),
        (tuple[int, int], list[int]),
        (str, Split),
        (Links, C | Links),
        (Tree, Tree),
        (type("NotKnown", (), {}), int),
    ],
)
def test_it_may_fit(given, taken):
    assert incompatibility(given_schema(given), taken_schema(taken)) is None


@pytest.mark.parametrize(
    ("given", "taken", "why"),
    [
        (int, str, "integer, where it takes string"),
        (None, int, "null, where it takes integer"),
        (str, int, "string, where it takes integer"),
        (str | None, int, "null or string, where it takes integer"),
        (A, C, "an object without z"),
        (A, D, "an object with y, which it does not know"),
        (A, Links, "an object without url"),
        (list[int], list[str], "each of them: integer, where it takes string"),
        (list[A], list[C], "each of them: an object without z"),
        (Literal[1], str, "integer, where it takes string"),
    ],
)
def test_it_never_fits(given, taken, why):
    assert incompatibility(given_schema(given), taken_schema(taken)) == why


def test_the_values_of_a_group():
    both = {"type": "array", EACH: [given_schema(int), given_schema(str)]}
    assert incompatibility(both, taken_schema(tuple[int, str])) is None
    assert incompatibility(both, taken_schema(list[int | str])) is None
    assert incompatibility(both, taken_schema(list)) is None
    assert "each of them" in incompatibility(both, taken_schema(list[int]))
    assert incompatibility(both, taken_schema(tuple[int])) == "2 values, where it takes 1"
