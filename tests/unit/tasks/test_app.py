from __future__ import annotations

import json
import sys
import types

import pytest

from rmqwork import (
    App,
    Binding,
    ConfigurationError,
    Exchange,
    InvalidMessage,
    Queue,
    Retry,
    TaskMessage,
    Unroutable,
)


class Resize(TaskMessage, name="images.resize", queue="high", version=2):
    width: int


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": ""}, "a task's name is a text"),
        ({"name": "x" * 256}, "longer than 255 bytes"),
        ({"results": "ftp://x"}, "unknown result back end 'ftp'"),
        ({"queues": ["a", Queue("a")]}, "queue 'a' is there twice"),
        ({"queues": [3]}, "3 is no Queue"),
        ({"queues": ["a"], "default_queue": "b"}, "default_queue 'b' is not among its queues: a"),
        ({"retry": 3}, "retry is a Retry"),
        ({"broker": "localhost"}, "argument broker: 'localhost' is no broker's address"),
    ],
)
def test_what_is_wrong_at_once_is_refused_at_once(given, says):
    with pytest.raises(ConfigurationError, match=says):
        App(**{"name": "shop", **given})


def test_an_app_has_a_queue_in_any_case():
    assert list(App("shop").queues) == ["shop"]
    assert list(App("shop", default_queue="work").queues) == ["work"]
    assert App("shop", queues=["a", "b"]).default_queue == "a"


def test_a_message_is_published_without_its_handler(app, port):
    result = app.publish(Resize(width=3), priority=1)

    (sent,) = port.sent
    assert (sent.type, sent.routing_key, sent.body) == ("images.resize", "high", b'{"width":3}')
    assert (sent.message_id, sent.priority) == (result.id, 1)


async def test_the_async_verbs_publish_alike(app, port):
    await app.apublish(Resize(width=3))
    await app.apublish_many([Resize(width=4), Resize(width=5)])
    await app.asend_task("images.resize", {"width": 6}, queue="low")

    assert [json.loads(one.body)["width"] for one in port.sent] == [3, 4, 5, 6]
    assert port.sent[-1].routing_key == "low"


def test_only_messages_can_be_published(app, port):
    for wrong in ({"width": 3}, 3, None):
        with pytest.raises(InvalidMessage, match="only a TaskMessage can be published"):
            app.publish(wrong)
        with pytest.raises(InvalidMessage, match="only a TaskMessage can be published"):
            app.publish_many([Resize(width=1), wrong])

    assert port.sent == []


def test_many_messages_and_signatures_are_published_together(app, port):
    @app.task
    def add(x: int) -> int:
        return x

    results = app.publish_many(
        [Resize(width=1), add.s(2), add.s(3).set(queue="high", priority=2)], priority=7
    )

    assert [one.id for one in results] == [one.message_id for one in port.sent]
    assert [one.task for one in results] == ["images.resize", "shop.add", "shop.add"]
    assert [one.routing_key for one in port.sent] == ["high", "low", "high"]
    assert [one.priority for one in port.sent] == [7, 7, 2]
    assert port.calls == [(3, 30)]
    assert app.publish_many([]) == []
    with pytest.raises(ConfigurationError, match="take no task_id"):
        app.publish_many([Resize(width=1)], task_id="x")


def test_by_name_a_known_task_is_validated(app, port):
    @app.task
    def resize(message: Resize) -> None: ...

    @app.task
    def add(x: int) -> int:
        return x

    app.send_task("images.resize", {"width": "3"})
    app.send_task("shop.add", {"x": 3})
    with pytest.raises(InvalidMessage, match=r"images\.resize: width: Input should be"):
        app.send_task("images.resize", {"width": "wide"})
    with pytest.raises(InvalidMessage, match=r"shop\.add: x: Field required"):
        app.send_task("shop.add")

    assert [one.body for one in port.sent] == [b'{"width":3}', b'{"x":3}']
    assert port.sent[0].headers == {"rmqwork-version": 2}


def test_by_name_an_unknown_task_is_sent_as_it_is(app, port):
    app.send_task("elsewhere.do", {"a": [1, "x"]}, version=3)

    (sent,) = port.sent
    assert (sent.type, sent.body) == ("elsewhere.do", b'{"a":[1,"x"]}')
    assert (sent.headers, sent.routing_key) == ({"rmqwork-version": 3}, "low")


def test_by_name_the_name_must_be_one(app, port):
    for wrong in ("", "x" * 256, "a\nb", None):
        with pytest.raises(ConfigurationError, match="App 'shop', send_task"):
            app.send_task(wrong)

    assert port.sent == []


def test_a_publish_that_fails_raises_with_the_id(app, port):
    port.answer = lambda publication: Unroutable("no queue")

    with pytest.raises(Unroutable) as caught:
        app.publish(Resize(width=1), task_id="a")

    assert caught.value.task_id == "a"


def test_the_limit_of_a_body_is_a_setting(port):
    app = App("shop", queues=["high"], max_message_size=20)
    app.use_publisher(port)

    app.publish(Resize(width=1))
    with pytest.raises(InvalidMessage, match="the broker takes 20"):
        app.publish(Resize(width=10**12))


def test_load_imports_what_is_included(monkeypatch):
    app = App("shop", include=["shop_tasks_of_test"])
    finder = types.ModuleType("shop_tasks_of_test")
    monkeypatch.setitem(sys.modules, "shop_tasks_of_test", finder)

    app.load()

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        App("shop", include=["no_such_module"]).load()


def test_the_check_tells_all_that_is_wrong():
    app = App(
        "shop",
        queues=[Queue("a", bindings=[Binding("events", "#")])],
        exchanges=[],
        routes={"x.*": "nope"},
    )

    class Opaque: ...

    @app.task(queue="missing")
    def one(it: Opaque) -> None: ...

    with pytest.raises(ConfigurationError) as caught:
        app.check()

    text = str(caught.value)
    assert text.startswith("App 'shop':\n")
    for part in ("routes['x.*']", "queue 'missing'", "parameter 'it'", "exchange 'events'"):
        assert part in text


def test_uvloop_is_wanted_and_not_there(monkeypatch):
    monkeypatch.setattr("rmqwork._tasks.app.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install rmqwork\[uvloop\]"):
        App("shop", event_loop="uvloop").check()


def test_topology_has_what_the_app_names():
    app = App(
        "shop",
        queues=[Queue("a", bindings=[Binding("events", "a.#")])],
        exchanges=[Exchange("events")],
    )

    app.check()

    names = {getattr(one, "name", None) for one in app.topology()}
    assert {"events", "events.due", "a", "a.dlq", "rmqwork.tasks"} <= names


def test_close_flushes_once(app, port):
    app.publish(Resize(width=1))

    assert app.close() == 0
    assert port.closed
    assert app.close() == 0


def test_an_apps_policy_is_for_tasks_that_have_none():
    app = App("shop", retry=Retry(max_attempts=9))

    @app.task
    def one(x: int) -> int:
        return x

    @app.task(retry=Retry(max_attempts=2))
    def two(x: int) -> int:
        return x

    assert app.policy(one) == Retry(max_attempts=9)
    assert app.policy(two) == Retry(max_attempts=2)
    assert {task["name"]: task["max_attempts"] for task in app.manifest()["tasks"]} == {
        "shop.one": 9,
        "shop.two": 2,
    }


def test_one_queue_is_no_list_of_letters():
    assert list(App("a", queues="high").queues) == ["high"]
    assert list(App("a", queues=Queue("high")).queues) == ["high"]


@pytest.mark.parametrize("fields", ["x", [1], 3, {3: 1}])
def test_a_task_by_name_takes_a_mapping(fields):
    app = App("a")

    @app.task
    def add(x: int) -> None: ...

    for name in ("a.add", "a.unknown"):
        with pytest.raises(InvalidMessage, match=r"a\.(add|unknown): "):
            app.send_task(name, fields)


def test_many_are_not_one(app, port):
    with pytest.raises(ConfigurationError, match="takes a list; put it in one"):
        app.publish_many(Resize(width=1))

    assert port.sent == []


def test_check_tells_a_problem_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMQWORK_BROKER", "redis://there")

    with pytest.raises(ConfigurationError) as caught:
        App("shop").check()

    assert str(caught.value).count("RMQWORK_BROKER") == 1
