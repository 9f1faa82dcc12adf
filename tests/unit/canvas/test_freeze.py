"""From signatures to nodes: ids, routes, options."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from rmqwork import ConfigurationError, InvalidMessage, chain, group
from rmqwork._canvas.freeze import freeze, replacement
from tests.unit.canvas.frozen import Resize, plain, task

pytestmark = pytest.mark.usefixtures("tasks")


def test_a_chain_is_frozen_with_ids_routes_and_open_arguments(app):
    add, total = task(app, "add"), task(app, "total")
    node = freeze((add.s(2, 2) | add.s(4) | group(add.s(1), add.si(5, 6)) | total.s()).work)
    where = {"exchange": "rmqwork.tasks", "key": "low"}
    assert plain(node) == {
        "chain": [
            {"task": "shop.add", **where, "body": {"x": 2, "y": 2}},
            {"task": "shop.add", **where, "body": {"y": 4}, "into": "x"},
            {
                "group": [
                    {"task": "shop.add", **where, "body": {"y": 1}, "into": "x"},
                    {"task": "shop.add", **where, "body": {"x": 5, "y": 6}},
                ]
            },
            {"task": "shop.total", **where, "key": "high", "body": {}, "into": "numbers"},
        ]
    }
    several = node["chain"][2]
    ids = {one["id"] for one in (*node["chain"], *several["group"])}
    assert len(ids) == 6
    assert json.loads(json.dumps(node)) == node


def test_messages_fill_the_whole_body(app):
    resize = app.tasks["images.resize"]
    node = freeze((resize.s(Resize(width=3)) | resize.s()).work)
    assert plain(node)["chain"] == [
        {"task": "images.resize", "exchange": "rmqwork.tasks", "key": "high", "body": {"width": 3},
         "version": 2},
        {"task": "images.resize", "exchange": "rmqwork.tasks", "key": "high", "body": {},
         "into": "", "version": 2},
    ]  # fmt: skip


def test_given_arguments_are_validated_when_the_rest_is_open(app):
    at, add = task(app, "at"), task(app, "add")
    node = freeze((add.s(1, 1) | at.partial(b"\xff")).work)
    assert node["chain"][1]["body"] == {"data": "_w=="}
    with pytest.raises(InvalidMessage, match=r"shop\.add: y: "):
        freeze((add.s(1, 1) | add.s("x")).work)
    with pytest.raises(ConfigurationError, match=r"nothing is before shop\.add: call it"):
        app.publish_many([add.s(1, 1), add.s(1)])


def test_options_of_calls_and_of_the_whole(app):
    add, total = task(app, "add"), task(app, "total")
    call = add.options(priority=9).s(1).set(countdown=5, expires=7, headers={"a": "b"})
    node = freeze((add.s(1, 1) | call | add.s(9).set(queue="high", eta=_in(60))).work)
    first, second, last = node["chain"]
    assert not first.keys() & {"priority", "countdown", "expires"}
    found = {key: second[key] for key in ("priority", "countdown", "expires", "headers")}
    assert found == {"priority": 9, "countdown": 5, "expires": 7, "headers": {"a": "b"}}
    assert (last["key"], round(last["eta"] / 1000 - time.time(), -1)) == ("high", 60)

    # of the whole: what starts first waits, the last one has the id, the rest is everybody's
    whole = (call.fill(1) | group(add.s(1), add.s(2).set(priority=2)) | total.s()).set(
        countdown=3, expires=60, priority=1, task_id="mine", queue="high"
    )
    first, several, last = freeze(whole.work)["chain"]
    assert (first["countdown"], first["priority"], first["expires"]) == (5, 9, 7)
    assert [member.get("countdown") for member in several["group"]] == [None, None]
    assert [member["priority"] for member in several["group"]] == [1, 2]
    assert {member["key"] for member in several["group"]} == {"high"}
    assert last["id"] == "mine"
    expiries = {one["expires_at"] for one in (*several["group"], last)}
    assert len(expiries) == 1  # one moment for all
    assert round(expiries.pop() / 1000 - time.time()) in (59, 60)
    assert freeze(group(add.s(1, 1)).set(task_id="mine").work)["result"] == "mine"
    with pytest.raises(ConfigurationError, match="unknown option 'countdwon'"):
        freeze(whole.set(countdwon=1).work)


def test_a_replacement_ends_in_the_task_that_it_replaces(app):
    add, total = task(app, "add"), task(app, "total")
    node = json.loads(replacement(group(add.s(1, 1), add.s(2, 2)) | total.s(), "id-1"))
    assert node["chain"][-1]["id"] == "id-1"
    assert json.loads(replacement(add.s(1, 1), "id-1"))["id"] == "id-1"
    for wrong, says in [
        (group(add.s(1, 1)), "its value would be that of no task"),
        (chain(), "its value would be that of no task"),
        (add.s(1), "takes a complete signature"),
        (3, "takes a complete signature, not 3"),
        (add.s(1, 1).set(task_id="x"), "leave its task_id= out"),
    ]:
        with pytest.raises(ConfigurationError, match=says):
            replacement(wrong, "id-1")


def _in(seconds):
    return datetime.now(UTC) + timedelta(seconds=seconds)
