"""Records, values and the way of answers through the worker, without a back end."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from rmqwork import App, ConfigurationError, InvalidMessage
from rmqwork._results import record
from rmqwork._results.values import Returns, Values


class Thumbnail(BaseModel):
    url: str
    made: datetime


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 4),
        (None, None),
        (bytes, b"\xff\x00"),
        (Decimal, Decimal("1.10")),
        (float, float("inf")),
        (list[Thumbnail], [Thumbnail(url="x", made=datetime(2026, 1, 1, tzinfo=UTC))]),
        (dict[int, set[str]], {3: {"a"}}),
        (tuple[int, str], (1, "x")),
    ],
)
def test_a_value_comes_back_as_its_type(annotation, value):
    values = Values("task 't'", annotation)

    body = record.success(values.dump(value))

    assert values.load(body) == value
    assert record.read(body).state == "SUCCESS"


def test_a_value_of_another_type_is_refused_where_it_is_made_and_where_it_is_read():
    values = Values("task 't'", int)
    with pytest.raises(ValueError, match="Expected `int`"):
        values.dump("x")
    with pytest.raises(InvalidMessage, match="its result is not of the annotated type"):
        values.load(b'{"state":"SUCCESS","result":"x"}')


def test_what_cannot_be_annotated_is_a_configuration_error():
    class Odd: ...

    for annotation, says in ((Odd, "return annotation"), (SecretStr, "asterisks")):
        with pytest.raises(ConfigurationError, match=says):
            Values("task 't'", annotation)


def test_an_app_with_results_checks_return_annotations_and_one_without_does_not():
    class Odd: ...

    for results, ignore in ((None, False), ("rpc://", True)):
        app = App("shop", results=results)
        app.task(ignore_result=ignore)(_returns(Odd))
        app.check()
    app = App("shop", results="rpc://")
    app.task(_returns(Odd))
    with pytest.raises(ConfigurationError, match="ignore_result=True"):
        app.check()


def _returns(kind: type):
    def odd() -> object: ...

    odd.__annotations__["return"] = kind
    return odd


def test_a_return_annotation_that_is_not_there_is_said_when_it_is_needed():
    def f() -> Missing: ...  # noqa: F821

    with pytest.raises(ConfigurationError, match="NameError"):
        Returns(f, None).values("task 'f'")


# ── in the worker ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_arrives_as_a_number(number: float) -> None:
    for annotation, value in [
        (dict[str, float], {"a": number}),
        (list[float | None], [None, number]),
        (dict[str, Any], {"a": [number, "NaN"]}),
        (Any, number),
        (object, {"a": number}),
        (str, "NaN"),
    ]:
        body = Values("task", annotation).dump(value)
        for reader in (annotation, Any):
            assert repr(Values("task", reader).load(body)) == repr(value)
