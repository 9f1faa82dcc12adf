"""Workflows from their first message to their end, by a worker on a broker in memory."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rmqwork import App, AsyncResult, Queue, Retry, TaskFailed
from rmqwork._messages import headers as names
from rmqwork._messages.ids import uuid7
from rmqwork._results.record import State
from rmqwork._topology import join_queues
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork._workflows import join_messages
from rmqwork._workflows.context import WorkflowContext
from rmqwork._workflows.document import ENVELOPE, detach
from rmqwork._workflows.flow import launch
from rmqwork._workflows.splice import first
from rmqwork.testing._idle import connector_of
from rmqwork.testing.worker import TestWorker
from rmqwork.types import Publication

Node = dict[str, Any]


class Shop:
    """An app, what its tasks were called with, and how to start a workflow."""

    def __init__(self, **settings: Any) -> None:
        self.calls: list[tuple[str, object]] = []
        self.app = App(
            "shop",
            broker=f"memory://{uuid.uuid4().hex}",
            queues=[Queue("low")],
            default_queue="low",
            **settings,
        )
        calls = self.calls

        @self.app.task
        def add(x: int, y: int) -> int:
            calls.append(("add", x + y))
            return x + y

        @self.app.task
        def total(values: list[Any]) -> list[Any]:
            calls.append(("total", values))
            return values

        @self.app.task
        def fail(x: int) -> int:
            raise ValueError("no")

        @self.app.task(retry=Retry(max_attempts=2, wait=0.01))
        def flaky(x: int) -> int:
            calls.append(("flaky", x))
            if calls.count(("flaky", x)) == 1:
                raise ConnectionError("try again")
            return x

        @self.app.task
        def handle(failure: dict[str, Any]) -> None:
            calls.append(("handle", failure))

        @self.app.task
        def unfit(x: int) -> object:
            return object()

    def start(self, node: Node, **carry: Any) -> None:
        """Publish what starts a workflow."""
        self.app._sender.send_many(
            launch(node, None, "", WorkflowContext(uuid7(), time.time(), **carry)), 10.0
        )

    def called(self, name: str) -> list[Any]:
        """What a task was called with."""
        return [value for task, value in self.calls if task == name]


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.app.close()


@pytest.fixture
def worker(shop: Shop) -> Iterator[TestWorker]:
    with shop.app.test_worker() as worker:
        yield worker


def broker(worker: TestWorker) -> MemoryBroker:
    connector = connector_of(worker)
    assert isinstance(connector, MemoryConnector)
    return connector.broker


def waiting(worker: TestWorker, queue: str) -> list[Any]:
    """The messages that are ready in a queue."""
    found = broker(worker).queues.get(queue)
    return [] if found is None else [entry.message.content for entry in found.waiting()]


def node(task: str, into: str | None = None, **body: Any) -> Node:
    made = {"task": f"shop.{task}", "id": uuid7(), "exchange": "rmqwork.tasks", "key": "low"}
    made |= {"body": body}
    return made if into is None else {**made, "into": into}


def chain(*nodes: Node, **more: Any) -> Node:
    return {"chain": list(nodes), **more}


def group(*nodes: Node, **more: Any) -> Node:
    return {"group": list(nodes), "id": uuid7(), **more}


def adds(count: int) -> list[Node]:
    return [node("add", x=n, y=0) for n in range(count)]


def test_a_chain_of_200_steps_the_first_in_an_envelope(shop: Shop, worker: TestWorker) -> None:
    first = node("add", x=0, y=1)
    rest = [node("add", "x", y=1) for _ in range(199)]
    rest[0]["headers"] = {"mine": "x" * 9000}
    published = launch(chain(first, *rest), None, "", WorkflowContext("wf", 0.0))
    assert published[0].content_type == ENVELOPE
    shop.start(chain(first, *rest))
    worker.wait_until_idle(30)
    assert shop.called("add") == list(range(1, 201))
    assert join_queues.names()[0] not in broker(worker).queues  # nobody has asked for a join


def test_a_chord_and_a_group_in_it(shop: Shop, worker: TestWorker) -> None:
    shop.start(chain(group(*adds(30), group(*adds(2))), node("total", "values")))
    worker.wait_until_idle(30)
    assert shop.called("total") == [[*range(30), [0, 1]]]
    assert waiting(worker, join_queues.DEAD_LETTERS) == []


def test_a_retry_goes_on_with_the_workflow(shop: Shop, worker: TestWorker) -> None:
    shop.start(chain(node("flaky", x=7), node("total", "values")))
    shop.start(chain(group(node("flaky", x=5)), node("total", "values")))
    until_called(shop, "total", 1)
    worker.wait_until_idle(30)
    assert [5] in shop.called("total")


def until_called(shop: Shop, name: str, count: int) -> None:
    end = time.monotonic() + 20
    while len(shop.called(name)) < count:
        assert time.monotonic() < end, shop.calls
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("bad", "reason", "kind"),
    [
        (lambda: node("fail", x=1), "failed", "ValueError"),
        (lambda: node("add", x="text", y=0), "invalid-message", "InvalidMessage"),
        (lambda: {**node("add", x=1, y=0), "expires_at": 1}, "expired", "Expired"),
        (lambda: node("unfit", x=1), "failed", "ResultNotEncoded"),
    ],
)
def test_a_member_that_does_not_succeed_fails_its_group_once(
    shop: Shop, worker: TestWorker, bad: Callable[[], Node], reason: str, kind: str
) -> None:
    members = group(*adds(5), bad(), bad(), *adds(5))
    shop.start(chain(members, node("total", "values"), link_error=[node("handle", "failure")]))
    worker.wait_until_idle(30)
    (failure,) = shop.called("handle")
    assert (failure["reason"], failure["type"]) == (reason, kind)
    assert shop.called("total") == []
    letters = waiting(worker, "low.dlq")
    assert [letter.headers[names.ERROR_REASON] for letter in letters] == [reason] * 2
    assert all(letter.headers[names.WORKFLOW] for letter in letters)


def test_a_worker_that_stops_hands_its_open_joins_to_the_next(shop: Shop) -> None:
    late = {**node("add", x=9, y=0), "countdown": 1.0}
    with shop.app.test_worker() as first:
        shop.start(chain(group(*adds(3), late), node("total", "values")))
        until_called(shop, "add", 3)
    assert first.exit_code == 0
    assert shop.called("total") == []
    with shop.app.test_worker():
        until_called(shop, "total", 1)
    assert shop.called("total") == [[0, 1, 2, 9]]


def test_what_never_completes_is_dead_lettered_and_ends_for_those_who_wait() -> None:
    shop = Shop(join_ttl=1.5)
    never = {**node("add", x=1, y=0), "countdown": 3600.0}
    with shop.app.test_worker() as worker:
        shop.start(
            chain(
                group(*adds(2), never),
                node("total", "values"),
                link_error=[node("handle", "failure")],
            )
        )
        until_called(shop, "handle", 1)
        (failure,) = shop.called("handle")
        assert (failure["reason"], failure["type"]) == ("expired", "JoinAbandoned")
        letters = waiting(worker, join_queues.DEAD_LETTERS)
        kinds = sorted(str(letter.headers[names.JOIN]) for letter in letters)
        assert kinds == ["open", "part", "part"]
        assert "2 of 3" in str(letters[0].headers[names.ERROR_MESSAGE])
    shop.app.close()


def by_hand(shop: Shop, publication: Publication) -> None:
    """Publish past the app's hooks and routes."""
    assert shop.app._sender.port.submit((publication,), 5.0).result(10) == [None]


def test_a_worker_that_has_seen_no_group_finds_those_that_wait(shop: Shop) -> None:
    """Given a join whose workers are gone, when another one starts, it looks and joins."""
    opening, _, last = launch(
        chain(group(*adds(2)), node("total", "values")),
        None,
        "",
        WorkflowContext("wf", time.time()),
    )
    frame = first(detach(last.headers, last.body)[0].then)[0]  # type: ignore[index]
    by_hand(shop, opening)
    for index in (1, 0):
        by_hand(
            shop,
            join_messages.part(
                {**frame, "index": index}, b"%d" % index, WorkflowContext("wf", 0.0)
            ),
        )
    with shop.app.test_worker():
        until_called(shop, "total", 1)
    assert shop.called("total") == [[0, 1]]


def test_what_is_none_of_a_join_is_dead_lettered(shop: Shop, worker: TestWorker) -> None:
    shop.start(chain(group(*adds(2)), node("total", "values")))
    worker.wait_until_idle(30)
    by_hand(shop, Publication("", join_queues.names()[0], b"?", "strange", "rmqwork.strange"))
    end = time.monotonic() + 20
    while not (letters := waiting(worker, join_queues.DEAD_LETTERS)):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert [(one.message_id, one.body) for one in letters] == [("strange", b"?")]
    assert letters[0].headers[names.ERROR_REASON] == "invalid-message"


def test_a_store_knows_of_those_that_will_never_run(tmp_path: Path) -> None:
    shop = Shop(results=f"sqlite:///{tmp_path / 'results'}")
    after_step, after_join = node("add", "x", y=1), node("total", "values")
    with shop.app.test_worker() as worker:
        shop.start(chain(node("fail", x=1), after_step))
        shop.start(chain(group(node("fail", x=1), *adds(2)), after_join))
        worker.wait_until_idle(30)
        for one in (after_step, after_join):
            result: AsyncResult[Any] = shop.app.result(one["id"], one["task"])
            with pytest.raises(TaskFailed, match="ValueError: no"):
                result.get(timeout=20)
    shop.app.close()


def test_those_who_wait_for_replies_are_told_of_what_will_never_run() -> None:
    shop = Shop(results="rpc://")
    with shop.app.test_worker():
        asking = shop.app.asking
        asking.begin(10)
        reply_to = asking.reply_to("shop.total")
        end = node("total", "values")
        entry = asking.backend.expect(end["id"])  # type: ignore[union-attr]
        shop.start(chain(group(node("fail", x=1), *adds(2)), end), reply_to=reply_to)
        record = entry.final.result(20)
        assert (record.state, record.evidence.message) == (State.FAILURE, "no")
    shop.app.close()
