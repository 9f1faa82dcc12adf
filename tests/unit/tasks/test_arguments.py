from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from rmqwork import ConfigurationError, InvalidMessage


@dataclass
class Point:
    x: int
    y: int


class Model(BaseModel):
    when: datetime


def test_parameters_may_have_any_name(app, port):
    @app.task
    def odd(json: str, copy: int, model_config: bool, _x: float, model_dump: int = 0) -> Any:
        return (json, copy, model_config, _x, model_dump)

    odd.delay("a", 1, True, _x=0.5)

    body = port.sent[0].body
    assert json.loads(body) == {"json": "a", "copy": 1, "model_config": True, "_x": 0.5}
    assert odd.body.load(body, 1) == json.loads(body)


def test_all_that_pydantic_knows_travels(app, port):
    @app.task
    def rich(point: Point, model: Model, raw: bytes, big: float, at: set[int]) -> None: ...

    model = Model(when=datetime(2030, 1, 1, tzinfo=UTC))
    rich.delay(Point(1, 2), model, b"\xff\x00", float("inf"), {1})

    assert rich.body.load(port.sent[0].body, 1) == {
        "point": Point(1, 2),
        "model": model,
        "raw": b"\xff\x00",
        "big": float("inf"),
        "at": {1},
    }
    assert json.loads(port.sent[0].body)["big"] == "Infinity"


def test_what_a_call_leaves_out_is_the_workers_default(app, port):
    @app.task
    def add(x: int, y: int = 2) -> int:
        return x + y

    add.delay(1)

    assert port.sent[0].body == b'{"x":1}'


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        (("x", 1), {}, "shop.add: x: Input should be a valid integer"),
        ((1,), {}, "y: Field required"),
        ((1, 2, 3), {}, "takes 2 positional arguments, 3 were given"),
        ((1,), {"x": 2}, "x is given twice"),
        ((1, 2), {"q": 2}, "q: Extra inputs are not permitted"),
        ((1, -1), {}, "y: Input should be greater than 0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(app, port, args, kwargs, says):
    @app.task
    def add(x: int, y: Annotated[int, Field(gt=0)], *, z: int = 0) -> int:
        return x + y

    with pytest.raises(InvalidMessage, match=says):
        add.delay(*args, **kwargs)

    assert port.sent == []


def test_an_error_does_not_print_the_values(app):
    @app.task
    def login(password: int) -> None: ...

    with pytest.raises(InvalidMessage) as caught:
        login.delay("s3cret")

    assert "s3cret" not in str(caught.value)


def test_an_annotation_that_cannot_be_validated_is_named_at_the_check(app):
    class Opaque:
        pass

    @app.task
    def use(x: int, it: Opaque) -> None: ...

    with pytest.raises(ConfigurationError, match=r"task 'shop\.use': parameter 'it'.*Opaque"):
        app.check()


def test_a_task_without_parameters_has_an_empty_object(app, port):
    @app.task
    def nothing() -> None: ...

    nothing.delay()

    assert port.sent[0].body == b"{}"
    assert nothing.body.load(b"{}", 1) == {}
