"""Signatures of JSON, of messages and of names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rmqwork import (
    App,
    ConfigurationError,
    Context,
    FailedTask,
    InvalidMessage,
    Partial,
    TaskMessage,
    chain,
    group,
)
from rmqwork._canvas.freeze import freeze


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


def test_json_and_back(app):
    add, total, at = task(app, "add"), task(app, "total"), task(app, "at")
    resize, on_error = app.tasks["images.resize"], task(app, "on_error")
    for signature in (
        add.s(1, 1),
        add.s(1),
        add.s(y=1),
        add.si(1, y=2).set(countdown=3, expires=timedelta(seconds=3), eta=None, headers={"a": 1}),
        add.s(1, 1).set(eta=_in(60)),
        resize.s(Resize(width=3)) | resize.s(),
        at.s(datetime(2030, 1, 1, tzinfo=UTC), b"\xff").link(add.s(1)).link_error(on_error.s()),
        group(add.s(n, n) for n in range(3)) | total.s(),
        (add.s(1, 1) | group(add.s(1), add.s(2) | add.s(3))).set(expires=60),
        add.starmap([(1, 2), (3, 4)]) | total.s(),
        resize.map([Resize(width=1)]),
        chain(),
        group(),
    ):
        again = app.signature(signature.to_json())
        assert type(again) is type(signature)
        assert again.to_json() == signature.to_json()
        assert plain(freeze(again.work)) == plain(freeze(signature.work))
    # what is read is what was written: positional arguments stay such
    assert (
        app.signature(at.s(datetime(2030, 1, 1, tzinfo=UTC), b"\xff").to_json()).args[1] == b"\xff"
    )
    for wrong in ("{}", '{"task":"shop.add","fields":{"x":"?"},"open":true}', "{", '{"chain":3}'):
        with pytest.raises(InvalidMessage):
            app.signature(wrong)


def test_signatures_of_tasks_that_are_not_known_here(app):
    other = App("other", queues=["low", "high"], routes={"shop.*": "high"})
    add = task(app, "add")
    node = freeze(other.signature((add.s(1, 1) | add.s(2)).to_json()).work)
    assert plain(node)["chain"][1] == {
        "task": "shop.add", "exchange": "rmqwork.tasks", "key": "high", "body": {"y": 2},
        "into": "x",
    }  # fmt: skip
    whole = other.signature(Resize(width=1)) | other.signature("images.store", into="")
    first, second = freeze(whole.work)["chain"]
    assert (first["key"], first["version"], second["into"]) == ("high", 2, "")
    assert other.signature("x.y", {"a": 1}, immutable=True).immutable
    assert freeze(other.signature("x.y", {"a": 1}, into="b").fill(3).work)["body"] == {
        "a": 1,
        "b": 3,
    }
    with pytest.raises(ConfigurationError, match="say which field takes the value"):
        other.signature("x.y") | other.signature("x.z")
    with pytest.raises(InvalidMessage, match="its argument 'x', not 'y'"):
        app.signature("shop.add", {"x": 1}, into="y")
    assert isinstance(app.signature("shop.add", {"y": 1}), Partial)
    assert app.signature(Resize(width=1)).args == (Resize(width=1),)
    assert app.signature("images.resize", {"width": 1}).args == (Resize(width=1),)
    assert isinstance(app.signature("images.resize", into=""), Partial)


def _in(seconds):
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_a_signature_of_an_older_version_is_brought_up_to_date(app):
    @app.task(version=2, aliases=["shop.shrink"])
    def scale(width: int) -> int:
        return width

    @scale.upcast(1)
    def _(fields):
        return {"width": fields["w"]}

    node = freeze(app.signature('{"task":"shop.shrink","fields":{"w":5}}').work)
    assert (node["task"], node["body"], node["version"]) == ("shop.scale", {"width": 5}, 2)


def test_a_class_of_a_former_name_is_taken_as_it_is(app):
    class Shrink(TaskMessage, name="shop.shrink"):
        w: int

    class Scale(TaskMessage, name="shop.scale"):
        width: int

    @app.task(aliases=["shop.shrink"])
    def scale(message: Scale) -> None: ...

    assert app.signature(Shrink(w=5)).work.task.name == "shop.shrink"
