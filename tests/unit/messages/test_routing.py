from __future__ import annotations

import pytest

from rmqwork import App, Binding, ConfigurationError, Exchange, InvalidMessage, Queue, Route
from rmqwork._messages.options import NO_OPTIONS, parse
from rmqwork._messages.routing import Router, Routes

TASKS = "rmqwork.tasks"


def router(routes: Routes | None = None) -> Router:
    queues = [Queue("high", bindings=[Binding("events", "a.#")]), Queue("low"), Queue("images")]
    return Router(queues, [Exchange("own")], "low", routes)


@pytest.mark.parametrize(
    ("given", "route"),
    [
        ({"queue": "high"}, Route(TASKS, "high")),
        ({"exchange": "own", "routing_key": "k"}, Route("own", "k")),
        ({"exchange": "events"}, Route("events", "")),
    ],
)
def test_the_call_goes_first(given, route):
    found = router({"*": "images"}).resolve("a.b", "low", None, parse(given, "x", 0))

    assert found == route


def test_then_the_routes_in_their_order():
    routed = router({"images.big.*": Route("own", "big"), "images.*": "images", "[!x]*": "high"})

    assert routed.resolve("images.big.one", "low", None, NO_OPTIONS) == Route("own", "big")
    assert routed.resolve("images.small", "low", None, NO_OPTIONS) == Route(TASKS, "images")
    assert routed.resolve("other", "low", None, NO_OPTIONS) == Route(TASKS, "high")
    assert routed.resolve("Images.x", "low", None, NO_OPTIONS) == Route(TASKS, "high")


def test_then_the_tasks_own_queue_then_the_default():
    assert router().resolve("a", "high", None, NO_OPTIONS) == Route(TASKS, "high")
    assert router().resolve("a", None, None, NO_OPTIONS) == Route(TASKS, "low")


def test_a_function_sees_the_message_and_the_options():
    seen = []

    def route(name, message, options):
        seen.append((name, message, dict(options)))
        return "high" if message["x"] else None

    routed = router(route)

    assert routed.resolve("t", None, {"x": 1}, parse({"priority": 3}, "x", 0)).routing_key == "high"
    assert routed.resolve("t", None, {"x": 0}, NO_OPTIONS).routing_key == "low"
    assert seen[0] == ("t", {"x": 1}, {"priority": 3})
    assert routed.home("t", None) is None


@pytest.mark.parametrize(
    ("routes", "queue", "given", "says"),
    [
        ({"t*": "nope"}, None, {}, r"routes\['t\*'\] names the queue 'nope'.*high, images, low"),
        (None, "nope", {}, "task 't' names the queue 'nope'"),
        (None, None, {"queue": "nope"}, "the call's queue= of task 't' names the queue 'nope'"),
        (None, None, {"exchange": "nope"}, "names the exchange 'nope'.*events, own, rmqwork.tasks"),
        (lambda *_: "nope", None, {}, "the app's routes function, for task 't', names the queue"),
        (lambda *_: 3, None, {}, "gives 3; a route is a queue's name or a Route"),
    ],
)
def test_a_queue_or_exchange_that_is_not_there_is_named(routes, queue, given, says):
    with pytest.raises(ConfigurationError, match=says):
        router(routes).resolve("t", queue, None, parse(given, "x", 0))


def test_a_routing_key_above_255_bytes_is_refused():
    assert Route("own", "k" * 255).routing_key == "k" * 255
    for key in ("k" * 256, "ä" * 128, "\ud800"):
        with pytest.raises(InvalidMessage, match="routing key"):
            Route("own", key)


def test_wrong_static_routes_are_found_at_the_check():
    app = App("shop", queues=["low"], routes={"a.*": "nope", "b.*": Route("gone", "x")})

    @app.task(queue="missing")
    def add(x: int) -> int:
        return x

    with pytest.raises(ConfigurationError) as caught:
        app.check()

    text = str(caught.value)
    assert "routes['a.*'] names the queue 'nope'" in text
    assert "routes['b.*'] names the exchange 'gone'" in text
    assert "task 'shop.add' names the queue 'missing'" in text


def test_home_is_the_queue_that_a_task_usually_goes_to():
    routed = router({"images.*": "images", "own.*": Route("own", "k")})

    assert routed.home("images.x", "high") == "images"
    assert routed.home("x", "high") == "high"
    assert routed.home("own.x", None) is None


def test_routes_of_a_wrong_kind_are_not_ignored():
    with pytest.raises(ConfigurationError, match="routes are patterns"):
        App("a", queues=["q"], routes=["q"])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"routes\[3\]: .* is a text"):
        App("a", queues=["q"], routes={3: "q"}).check()  # type: ignore[dict-item]
