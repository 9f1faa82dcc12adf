from __future__ import annotations

import asyncio
import os
import warnings
from concurrent.futures import Future

import pytest

from rmqwork import (
    App,
    BlockingCallWarning,
    BrokerUnavailable,
    ConfigurationError,
    PublishError,
    PublishTimeout,
    TaskMessage,
    Unroutable,
)
from rmqwork._publisher import sender


class Number(TaskMessage, name="number"):
    x: int


def call(app, verb, *args, **options):
    """Call a verb of the app, blocking or async."""
    answer = getattr(app, verb)(*args, **options)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


@pytest.fixture(autouse=True)
def not_warned_yet(monkeypatch):
    monkeypatch.setattr(sender, "_warned", set())


def test_many_go_in_chunks_and_a_generator_is_enough(app, port):
    results = app.publish_many(Number(x=x) for x in range(2500))

    assert [size for size, _ in port.calls] == [1000, 1000, 500]
    assert [one.message_id for one in port.sent] == [one.id for one in results]


@pytest.mark.parametrize("verb", ["publish_many", "apublish_many"])
def test_those_that_failed_are_named_and_the_others_are_out(app, port, verb):
    port.answer = lambda one: Unroutable("no queue") if b"7" in one.body else None
    messages = [Number(x=x) for x in (1, 7, 2, 17)]

    with pytest.raises(PublishError, match=r"2 of 4 messages were not confirmed.*no") as caught:
        call(app, verb, messages)

    failed = [one.message_id for one in port.sent if b"7" in one.body]
    assert list(caught.value.failures) == failed
    assert all(isinstance(error, Unroutable) for error in caught.value.failures.values())
    assert not caught.value.may_have_arrived


def test_when_the_broker_is_away_the_rest_is_not_tried(app, port):
    port.answer = lambda one: BrokerUnavailable("away", may_have_arrived=False)

    with pytest.raises(PublishError, match="9000 of 9000") as caught:
        app.publish_many([Number(x=x) for x in range(9000)])

    assert len(port.sent) == 4000
    kinds = [type(error) for error in caught.value.failures.values()]
    assert kinds == [BrokerUnavailable] * 4000 + [PublishError] * 5000
    assert "it was not sent: away" in str(list(caught.value.failures.values())[-1])


@pytest.mark.parametrize("verb", ["publish", "apublish"])
def test_a_port_that_never_answers_is_a_timeout(app, port, monkeypatch, verb):
    monkeypatch.setattr(sender, "_MARGIN", 0.01)
    port.submit = lambda publications, timeout: Future()

    with pytest.raises(PublishTimeout) as caught:
        call(app, verb, Number(x=1), timeout=0.01)

    assert caught.value.may_have_arrived
    assert caught.value.task_id


def test_a_wrong_topology_is_raised_as_it_is(app, port):
    failed: Future[list[PublishError | None]] = Future()
    failed.set_exception(ConfigurationError("the queue is another"))
    port.submit = lambda publications, timeout: failed

    with pytest.raises(ConfigurationError, match="the queue is another"):
        app.publish(Number(x=1))


async def test_who_gives_up_waiting_does_not_cancel_what_is_on_its_way(app, port):
    future: Future[list[PublishError | None]] = Future()
    port.submit = lambda publications, timeout: future

    waiting = asyncio.create_task(app.apublish(Number(x=1)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert not future.cancelled()
    future.set_result([None])


async def test_a_blocking_verb_on_a_loop_warns_once_and_names_its_twin(app):
    @app.task
    def add(x: int) -> int:
        return x

    calls = {
        "adelay": lambda: add.delay(1),
        "aapply_async": lambda: add.apply_async((1,)),
        "apublish": lambda: app.publish(Number(x=1)),
        "apublish_many": lambda: app.publish_many([Number(x=1)]),
        "asend_task": lambda: app.send_task("x"),
    }
    for twin, call in calls.items():
        with pytest.warns(BlockingCallWarning, match=f"use `await {twin}\\(\\)`") as caught:
            call()
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call()


def test_without_a_loop_nobody_warns(app):
    app.publish(Number(x=1))


def test_the_own_publisher_is_made_on_first_use_and_anew_in_a_forked_child(port, monkeypatch):
    made = []

    class Own(type(port)):
        def __init__(self) -> None:
            super().__init__()
            made.append(os.getpid())

    app = App("shop")
    app._sender = sender.Sender(Own, app.hooks)
    assert made == []
    app.send_task("x")
    app.send_task("y")
    assert made == [os.getpid()]

    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        app.send_task("z")
        os.write(writer, b"%d %d" % (len(made), made[-1] == os.getpid()))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    os.waitpid(pid, 0)

    assert said == "2 1"


def test_a_port_that_was_given_is_not_used_by_a_forked_child(app, port):
    own = type(port)()
    app._sender._make = lambda: own
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        app.publish(Number(x=1), queue="low")
        os.write(writer, b"%d %d" % (len(port.sent), len(own.sent)))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    os.waitpid(pid, 0)

    assert said == "0 1"


def test_who_waits_for_long_reminds_the_port(app, port, monkeypatch):
    """What was about to wake the I/O thread may be stopped by the handler that waits here."""
    monkeypatch.setattr(sender, "_REMIND_AFTER", 0.01)
    answer: Future[list[PublishError | None]] = Future()
    port.submit = lambda publications, timeout: answer
    port.remind = lambda: answer.set_result([None])

    assert app.publish(Number(x=1)).id


def test_an_async_verb_without_asyncio_says_so_before_anything_is_sent(app, port):
    sending = app.apublish(Number(x=1))

    with pytest.raises(ConfigurationError, match="need a running asyncio event loop"):
        sending.send(None)

    assert port.sent == []


def test_a_port_that_is_being_made_may_be_asked_for(app, monkeypatch):
    """A signal handler may publish while the first publish makes the port: both use the same."""
    seen: list[object] = []
    make = app._sender._make

    def interrupted():
        if not seen:
            seen.append(None)
            seen[0] = app._sender.port
        return make()

    monkeypatch.setattr(app._sender, "_make", interrupted)
    app.use_publisher(None)

    assert app._sender.port is app._sender.port is seen[0]
