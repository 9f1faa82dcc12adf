"""From ``ctx.replace`` to what runs in the place of a task, or of an item of a map."""

from __future__ import annotations

import json

import pytest

from rmqwork import Context
from rmqwork._messages import headers as names
from rmqwork._tasks.run_plan import Prepared
from rmqwork.types import Failure, Replaced, Success

MAP = {names.EACH: "map"}


@pytest.fixture
def maybe(app):
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task
    def maybe(ctx: Context, x: int) -> int:
        return ctx.replace(add.s(x, 100)) if x % 2 else x


def run(app, message):
    prepared = app.runner().prepare(message)
    assert isinstance(prepared, Prepared), prepared
    return app.runner().run(prepared)


@pytest.mark.usefixtures("maybe")
def test_the_options_of_a_message_are_those_of_what_runs_in_its_place(app, delivery):
    headers = {
        "tenant": "acme",
        names.EXPIRES_AT: 4_000_000_000_000,
        names.PLACE: '{"queue":"high"}',
        names.RUN: "0193",
    }
    given = delivery("shop.maybe", b'{"x":3}', headers=headers, extras={"priority": 7})
    outcome = run(app, given)
    assert isinstance(outcome, Replaced), outcome
    node = json.loads(outcome.node)
    assert (node["id"], node["key"], node["priority"]) == ("id-1", "high", 7)
    assert node["expires_at"] == 4_000_000_000_000
    assert (node["headers"]["tenant"], node["headers"][names.RUN]) == ("acme", "0193")
    plain = json.loads(run(app, delivery("shop.maybe", b'{"x":3}')).node)
    assert not plain.keys() & {"headers", "priority", "expires_at"}


@pytest.mark.usefixtures("maybe")
@pytest.mark.parametrize("place", ["{", "[]", '{"queue":3}', '{"task_id":"x"}', 3])
def test_a_place_that_cannot_be_read_is_none(app, delivery, place):
    given = delivery("shop.maybe", b'{"x":3}', headers={names.PLACE: place})
    assert json.loads(run(app, given).node)["key"] == "low"


@pytest.mark.usefixtures("maybe")
def test_the_items_of_a_map_that_were_replaced_are_gathered_with_the_others(app, delivery):
    body = b'{"items":[{"x":2},{"x":3},{"x":4},{"x":5}]}'
    outcome = run(app, delivery("shop.maybe", body, headers=MAP))
    assert isinstance(outcome, Replaced), outcome
    several, end = json.loads(outcome.node)["chain"]
    assert [one["body"] for one in several["group"]] == [{"x": 3, "y": 100}, {"x": 5, "y": 100}]
    assert (end["task"], end["id"], end["each"]) == ("shop.maybe", "id-1", names.GATHERED)
    assert (end["body"], end["into"]) == ({"known": [2, 4], "at": [1, 3]}, "values")

    gathered = {**end["body"], "values": [103, 105]}
    headers = {names.EACH: names.GATHERED, names.VERSION: end["version"]}
    message = delivery(
        "shop.maybe", json.dumps(gathered).encode(), headers=headers, extras={"reply": True}
    )
    outcome = run(app, message)
    assert isinstance(outcome, Success), outcome
    assert json.loads(outcome.result or b"") == {
        "state": "SUCCESS",
        "each": True,
        "result": [2, 103, 4, 105],
    }


@pytest.mark.usefixtures("maybe")
@pytest.mark.parametrize(
    "body",
    [b"{", b"{}", b'{"known":[],"at":[0],"values":[]}', b'{"known":[1],"at":[5],"values":[2]}'],
)
def test_an_end_of_a_map_that_cannot_be_read_is_an_invalid_message(app, delivery, body):
    outcome = app.runner().prepare(
        delivery("shop.maybe", body, headers={names.EACH: names.GATHERED})
    )
    assert isinstance(outcome, Failure)
    assert "no end of a map" in outcome.evidence.message


def test_a_replacement_that_cannot_run_fails_the_map(app, delivery):
    @app.task
    def wrong(ctx: Context, x: int) -> int:
        return ctx.replace(3)  # type: ignore[arg-type]

    outcome = run(app, delivery("shop.wrong", b'{"items":[{"x":2}]}', headers=MAP))
    assert isinstance(outcome, Failure)
    assert "takes a complete signature, not 3" in outcome.evidence.message
