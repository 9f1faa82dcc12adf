"""From signatures to nodes: ids, routes, options."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from rmqwork import (
    ConfigurationError,
    Context,
    FailedTask,
    InvalidMessage,
    TaskMessage,
    chain,
    chord,
    group,
)
from rmqwork._canvas.freeze import freeze, replacement
from rmqwork._results.group import GroupResult
from rmqwork._workflows.document import detach


class Resize(TaskMessage, name="images.resize", queue="high", version=2):
    width: int


@pytest.fixture(autouse=True)
def tasks(app):
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(queue="high")
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task
    def resize(message: Resize, ctx: Context) -> Resize:
        return message

    @app.task
    def at(moment: datetime, data: bytes = b"") -> int:
        return 1

    @app.task
    def on_error(failed: FailedTask) -> None: ...


def task(app, name):
    return app.tasks[f"shop.{name}"]


def plain(node):
    """A node without its ids, its app and moments."""
    if isinstance(node, dict):
        return {k: plain(v) for k, v in node.items() if k not in ("id", "app_id", "expires_at")}
    return [plain(one) for one in node] if isinstance(node, list) else node


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
    assert freeze(group(add.s(1, 1)).set(task_id="mine").work)["id"] == "mine"
    with pytest.raises(ConfigurationError, match="unknown option 'countdwon'"):
        freeze(whole.set(countdwon=1).work)


def test_links_of_calls_and_of_the_whole(app):
    add, total, on_error = (task(app, name) for name in ("add", "total", "on_error"))
    call = add.s(1, 1).link(add.s(2) | add.s(3)).link_error(on_error.s())
    node = freeze(call.work)
    assert [len(one["chain"]) for one in node["link"]] == [2]
    assert node["link_error"][0]["into"] == "failed"
    node = freeze(chord([add.s(1, 1)], total.s()).link(add.s(1)).link_error(on_error.s()).work)
    assert [one["task"] for one in node["link"]] == ["shop.add"]
    assert [one["task"] for one in node["link_error"]] == ["shop.on_error"]
    node = freeze(group(add.s(1, 1)).link(total.s()).work)  # the list of their values
    assert (list(node), list(node["chain"][0])) == (["chain", "link"], ["group", "id"])


def test_a_call_with_links_is_published_with_its_workflow(app, port):
    add, on_error = task(app, "add"), task(app, "on_error")
    result = add.apply_async((1, 1), link=add.s(2), link_error=[on_error.s(), on_error.s()])
    add.options(link=add.s(5)).delay(1, 1)
    add.s(1, 1).link(add.s(7)).delay()
    documents = [detach(one.headers, one.body)[0] for one in port.sent]
    assert [len(one.link_error) for one in documents] == [2, 0, 0]
    assert [one.link[0]["body"] for one in documents] == [{"y": 2}, {"y": 5}, {"y": 7}]
    assert len({one.id for one in documents}) == 3
    assert [child.id for child in result.children] == [documents[0].link[0]["id"]]


def test_what_is_published_first_and_its_results(app, port):
    add, total = task(app, "add"), task(app, "total")
    result = (add.s(2, 2) | add.s(4) | add.s(8)).delay()
    assert [one.type for one in port.sent] == ["shop.add"]
    assert result.parent.parent.id == port.sent[0].message_id
    assert result.parent.parent.parent is None

    port.sent.clear()
    result = (group(add.s(n, n) for n in range(3)) | total.s()).apply_async(countdown=60)
    assert [one.type for one in port.sent] == ["rmqwork.join", *["shop.add"] * 3]
    assert all(one.due for one in port.sent[1:])
    assert isinstance(result.parent, GroupResult)
    assert [child.id for child in result.parent] == [one.message_id for one in port.sent[1:]]

    port.sent.clear()
    results = app.publish_many([add.s(1, 1), add.s(1, 1) | add.s(2), add.starmap([(1, 2)])])
    assert len(results) == len(port.sent) == 3
    assert results[1].parent.id == port.sent[1].message_id
    assert (group().delay().children, chain().delay().get()) == ((), None)
    assert add.s(3).delay(4).task == "shop.add"
    assert json.loads(port.sent[-1].body) == {"x": 4, "y": 3}


def test_children_of_a_chain_are_what_it_is_linked_to(app, port):
    add, total = task(app, "add"), task(app, "total")

    result = (add.s(1, 1) | add.s(2)).link(add.s(100)).link(add.s(200)).delay()

    assert [child.task for child in result.children] == ["shop.add", "shop.add"]
    workflow = str(port.sent[0].headers)
    assert all(child.id in workflow for child in result.children)
    assert result.parent.children == ()
    joined = group(add.s(n, n) for n in range(3)).link(total.s()).delay()
    assert len(joined.children) == 3  # its members
    with pytest.raises(ConfigurationError, match="link takes one signature"):
        add.s(1, 1).link([add.s(1)])


async def test_the_twins_for_asyncio(app, port):
    add = task(app, "add")
    await (add.s(2, 2) | add.s(4)).adelay()
    await add.s(2).adelay(3)
    await add.s(2).aapply_async(3, queue="high")
    await group(add.s(1, 1), add.s(2, 2)).aapply_async()
    await app.apublish_many([group(add.s(1, 1), add.s(2, 2))])
    assert len(port.sent) == 7
    assert port.sent[2].routing_key == "high"


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
