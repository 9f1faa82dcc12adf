"""The publisher: windows, deadlines, a connection that comes and goes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

import pytest

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.limits import LIMITS, Limits
from rmqwork._publisher.publisher import Publisher
from rmqwork._topology.delays import ladder_declarations
from rmqwork._topology.topology import Queue, app_declarations
from rmqwork.errors import (
    BrokerBlocked,
    BrokerUnavailable,
    ConfigurationError,
    InvalidMessage,
    Nacked,
    PublishError,
    PublishTimeout,
    TopologyMismatch,
    Unroutable,
)
from rmqwork.types import Publication, Verdict
from tests.unit.fakes import FakeConnector, QuickClock, publication, turns
from tests.waiting import auntil

WINDOW = LIMITS.window
PLAN = app_declarations([Queue("q")])


@pytest.fixture
def connector() -> FakeConnector:
    return FakeConnector()


@pytest.fixture
async def publisher(connector: FakeConnector) -> AsyncIterator[Publisher]:
    publisher = Publisher(connector, PLAN, "test", clock=QuickClock())
    yield publisher
    await publisher.close(0)


def submit(
    publisher: Publisher, *publications: Publication, timeout: float = 30
) -> Future[list[PublishError | None]]:
    batch = Batch(publications, timeout)
    publisher.submit(batch)
    return batch.future


async def result(future: Future[list[PublishError | None]]) -> list[PublishError | None]:
    return await asyncio.wait_for(asyncio.wrap_future(future), 60)


# ── the connection ────────────────────────────────────────────────────────────────────────────


async def test_it_connects_with_the_first_publication(
    publisher: Publisher, connector: FakeConnector
):
    await turns()
    assert (connector.attempts, publisher.connected) == (0, False)

    assert await result(submit(publisher, publication())) == [None]

    assert (connector.attempts, publisher.connected) == (1, True)
    assert connector.link.declared == [PLAN]
    assert publisher.backlog == 0


async def test_an_eager_one_connects_by_itself_and_stays_connected(connector: FakeConnector):
    publisher = Publisher(connector, PLAN, "test", eager=True, clock=QuickClock())
    await auntil(lambda: publisher.connected)

    connector.link.lose()

    await auntil(lambda: len(connector.links) == 2 and publisher.connected)
    await publisher.close(0)


async def test_no_publications_are_done_at_once(publisher: Publisher, connector: FakeConnector):
    assert submit(publisher).result(0) == []
    await turns()
    assert connector.attempts == 0


async def test_what_was_under_way_is_sent_again_first_with_the_same_ids(
    publisher: Publisher, connector: FakeConnector
):
    """Given 3 sent and one confirmed, when the connection is lost, then two go again, in order."""
    connector.answer = None
    sent = [publication() for _ in range(3)]
    future = submit(publisher, *sent)
    await auntil(lambda: publisher.connected and len(connector.channel.open) == 3)
    connector.channel.settle(Verdict.CONFIRMED)

    connector.link.lose()
    later = submit(publisher, publication())
    await auntil(lambda: len(connector.links) == 2 and publisher.connected)
    await auntil(lambda: len(connector.channel.sent) == 3)

    again = connector.channel.sent
    assert [p.message_id for p in again[:2]] == [p.message_id for p in sent[1:]]
    while connector.channel.open:
        connector.channel.settle(Verdict.CONFIRMED)
    assert await result(future) == [None, None, None]
    assert await result(later) == [None]


async def test_a_channel_that_ends_is_opened_again_on_its_connection(
    publisher: Publisher, connector: FakeConnector
):
    connector.answer = None
    future = submit(publisher, publication(), publication())
    await auntil(lambda: publisher.connected and len(connector.channel.open) == 2)
    first = connector.channel

    connector.answer = Verdict.CONFIRMED
    first.settle(Verdict.RETURNED, "no exchange")
    first.end()

    [error, none] = await result(future)
    assert isinstance(error, Unroutable)
    assert none is None
    assert len(connector.links) == 1
    assert len(connector.link.channels) == 2


async def test_it_goes_on_when_the_broker_comes_back(
    publisher: Publisher, connector: FakeConnector
):
    connector.up = False
    future = submit(publisher, publication())
    await auntil(lambda: connector.attempts > 3)
    assert isinstance(publisher.problem, BrokerUnavailable)

    connector.up = True

    assert await result(future) == [None]
    assert publisher.problem is None


# ── what becomes of publications ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("verdict", "kind", "words"),
    [
        (Verdict.RETURNED, Unroutable, "no queue"),
        (Verdict.NACKED, Nacked, "full"),
        (Verdict.REFUSED, PublishError, "refused"),
    ],
)
async def test_each_answer_has_its_error(
    publisher: Publisher,
    connector: FakeConnector,
    verdict: Verdict,
    kind: type[PublishError],
    words: str,
):
    connector.answer = verdict
    sent = publication()

    [error] = await result(submit(publisher, sent))

    assert type(error) is kind
    assert error.task_id == sent.message_id
    assert not error.may_have_arrived
    assert words in str(error)
    assert sent.message_id in str(error)
    assert sent.type is not None
    assert sent.type in str(error)


async def test_errors_stand_at_the_place_of_their_publication(
    publisher: Publisher, connector: FakeConnector
):
    connector.answer = None
    future = submit(publisher, *(publication() for _ in range(4)))
    await auntil(lambda: publisher.connected and len(connector.channel.open) == 4)

    for verdict in (Verdict.CONFIRMED, Verdict.NACKED, Verdict.CONFIRMED):
        connector.channel.settle(verdict)
    await turns()
    assert not future.done()
    connector.channel.settle(Verdict.RETURNED)

    assert [type(error) for error in await result(future)] == [
        type(None),
        Nacked,
        type(None),
        Unroutable,
    ]


async def test_what_cannot_be_encoded_ends_its_call_and_no_other(
    publisher: Publisher, connector: FakeConnector
):
    wrong = publication()
    connector.refuse = lambda p: InvalidMessage("no") if p is wrong else None

    first = submit(publisher, publication(), wrong, publication())
    second = submit(publisher, publication())

    with pytest.raises(InvalidMessage):
        await result(first)
    assert await result(second) == [None]
    await turns()
    assert publisher.backlog == 0
    assert await publisher.close(1) == 0


async def test_order_is_kept_also_across_calls(publisher: Publisher, connector: FakeConnector):
    sent = [publication() for _ in range(50)]

    futures = [submit(publisher, *sent[at : at + 5]) for at in range(0, 50, 5)]
    for future in futures:
        await result(future)

    assert connector.channel.sent == sent


# ── the window ────────────────────────────────────────────────────────────────────────────────


async def test_the_window_is_never_exceeded(publisher: Publisher, connector: FakeConnector):
    future = submit(publisher, *(publication() for _ in range(3 * WINDOW + 7)))

    assert set(await result(future)) == {None}
    assert connector.channel.most == WINDOW


async def test_large_bodies_make_the_window_smaller(connector: FakeConnector):
    publisher = Publisher(
        connector, PLAN, "test", clock=QuickClock(), limits=Limits(window_bytes=1000)
    )
    future = submit(publisher, *(publication(body=bytes(400)) for _ in range(20)))

    assert set(await result(future)) == {None}
    assert connector.channel.most == 3  # the third goes out while 800 bytes are under way
    await publisher.close(0)


async def test_lost_publications_do_not_fill_the_window(
    publisher: Publisher, connector: FakeConnector
):
    connector.answer = None
    future = submit(publisher, *(publication() for _ in range(WINDOW + 5)), timeout=20)
    for number in range(1, 4):
        await auntil(lambda n=number: len(connector.links) == n and publisher.connected)  # type: ignore[misc]
        await auntil(lambda: len(connector.channel.open) == WINDOW)
        connector.link.lose()
    connector.answer = Verdict.CONFIRMED

    await auntil(lambda: len(connector.links) == 4 and publisher.connected)
    while connector.channel.open:
        connector.channel.settle(Verdict.CONFIRMED)
    assert set(await result(future)) == {None}
    assert publisher.backlog == 0


# ── deadlines ─────────────────────────────────────────────────────────────────────────────────


async def test_without_a_broker_the_deadline_says_unavailable(
    publisher: Publisher, connector: FakeConnector
):
    connector.up = False

    [error] = await result(submit(publisher, publication(), timeout=0.5))

    assert type(error) is BrokerUnavailable
    assert not error.may_have_arrived
    assert "nobody answers" in str(error)
    assert "not sent" in str(error)


async def test_a_publication_that_was_sent_before_the_loss_may_have_arrived(
    publisher: Publisher, connector: FakeConnector
):
    connector.answer = None
    future = submit(publisher, publication(), timeout=0.5)
    await auntil(lambda: publisher.connected and len(connector.channel.open) == 1)

    connector.up = False
    connector.link.lose()

    [error] = await result(future)
    assert type(error) is BrokerUnavailable
    assert error.may_have_arrived
    assert "may have arrived" in str(error)


async def test_without_a_confirm_the_deadline_says_timeout(
    publisher: Publisher, connector: FakeConnector
):
    connector.answer = None

    [error] = await result(submit(publisher, publication(), timeout=0.2))

    assert type(error) is PublishTimeout
    assert isinstance(error, TimeoutError)
    assert error.may_have_arrived


async def test_a_blocked_broker_is_said_and_holds_publications_back(
    publisher: Publisher, connector: FakeConnector
):
    await result(submit(publisher, publication()))
    connector.link.block(True)

    future = submit(publisher, publication(), timeout=0.05)
    [error] = await result(future)

    assert type(error) is BrokerBlocked
    assert not error.may_have_arrived
    assert len(connector.channel.sent) == 1


async def test_what_waits_goes_out_when_the_alarm_clears(
    publisher: Publisher, connector: FakeConnector
):
    await result(submit(publisher, publication()))
    connector.link.block(True)
    future = submit(publisher, publication())
    await turns()
    assert len(connector.channel.sent) == 1

    connector.link.block(False)

    assert await result(future) == [None]


async def test_deadlines_are_each_calls_own(publisher: Publisher, connector: FakeConnector):
    """A later call with an earlier deadline does not wait for the first one's."""
    connector.answer = None
    patient = submit(publisher, publication(), timeout=60)
    hasty = submit(publisher, publication(), timeout=0.2)

    assert type((await result(hasty))[0]) is PublishTimeout
    assert not patient.done()
    connector.channel.settle(Verdict.CONFIRMED)
    assert await result(patient) == [None]


async def test_a_confirm_after_the_deadline_changes_nothing(
    publisher: Publisher, connector: FakeConnector
):
    connector.answer = None
    future = submit(publisher, publication(), timeout=0.03)
    [error] = await result(future)

    connector.channel.settle(Verdict.CONFIRMED)
    await turns()

    assert future.result() == [error]
    assert publisher.backlog == 0


async def test_what_is_too_late_is_not_sent_when_the_broker_comes_back(
    publisher: Publisher, connector: FakeConnector
):
    connector.up = False
    await result(submit(publisher, publication(), timeout=0.03))
    fresh = submit(publisher, publication())

    connector.up = True

    assert await result(fresh) == [None]
    assert len(connector.channel.sent) == 1


async def test_what_is_too_late_is_kept_nowhere(publisher: Publisher, connector: FakeConnector):
    """An hour without a broker must not cost the memory of an hour's publications."""
    connector.up = False
    futures = [submit(publisher, publication(), timeout=0.02) for _ in range(100)]
    for future in futures:
        await result(future)

    assert publisher.backlog == 0


# ── the plan ──────────────────────────────────────────────────────────────────────────────────


async def test_a_refused_plan_is_raised_by_each_call_and_tried_again(
    publisher: Publisher, connector: FakeConnector
):
    mismatch = TopologyMismatch("q does not suit", ["x-queue-type"])
    connector.declaring = lambda plan: mismatch

    with pytest.raises(TopologyMismatch):
        await result(submit(publisher, publication(), publication()))
    assert publisher.problem is mismatch

    connector.declaring = None
    assert await result(submit(publisher, publication())) == [None]
    assert not connector.links[0].is_open


async def test_delay_queues_are_declared_with_the_first_delayed_publication(
    publisher: Publisher, connector: FakeConnector
):
    await result(submit(publisher, publication()))
    assert len(connector.link.declared) == 1

    await result(submit(publisher, publication(due=1e12), publication(), publication(due=1e12)))

    assert len(connector.link.declared) == 2
    declared = connector.link.declared[1]
    assert list(declared[: len(ladder_declarations())]) == ladder_declarations()
    twins = [d.destination for d in declared[len(ladder_declarations()) :]]  # type: ignore[union-attr]
    assert twins == ["rmqwork.tasks.due"]


async def test_refused_delay_queues_end_only_the_calls_that_need_them(
    publisher: Publisher, connector: FakeConnector
):
    await result(submit(publisher, publication()))
    connector.channel.answer = None
    under_way = submit(publisher, publication())
    connector.declaring = lambda plan: ConfigurationError("may not configure")

    delayed = submit(publisher, publication(due=1e12))
    behind = submit(publisher, publication())

    with pytest.raises(ConfigurationError, match=r"delay queues.*may not configure"):
        await result(delayed)
    await auntil(lambda: len(connector.channel.open) == 2)
    connector.channel.settle(Verdict.CONFIRMED)
    connector.channel.settle(Verdict.CONFIRMED)
    assert await result(under_way) == [None]
    assert await result(behind) == [None]

    connector.declaring, connector.channel.answer = None, Verdict.CONFIRMED
    assert await result(submit(publisher, publication(due=1e12))) == [None]


# ── priorities ────────────────────────────────────────────────────────────────────────────────


async def test_a_priority_that_means_nothing_is_said_once(
    connector: FakeConnector, caplog: pytest.LogCaptureFixture
):
    connector.version = (3, 13, 1)
    publisher = Publisher(
        connector, app_declarations([Queue("q"), Queue("c", "classic")]), "test", clock=QuickClock()
    )

    sent = [publication(priority=3) for _ in range(3)] + [publication(routing_key="c", priority=3)]
    await result(submit(publisher, *sent))

    said = [record.message for record in caplog.records if "no effect" in record.message]
    assert len(said) == 2
    assert "'q'" in said[0]
    assert "3.13.1" in said[0]
    assert "max_priority" in said[1]
    await publisher.close(0)


async def test_a_priority_that_means_something_is_not_talked_about(
    connector: FakeConnector, caplog: pytest.LogCaptureFixture
):
    plan = app_declarations([Queue("q"), Queue("c", "classic", max_priority=5)])
    publisher = Publisher(connector, plan, "test", clock=QuickClock())

    await result(
        submit(publisher, publication(priority=3), publication(routing_key="c", priority=3))
    )

    assert "no effect" not in caplog.text
    await publisher.close(0)


# ── close ─────────────────────────────────────────────────────────────────────────────────────


async def test_close_waits_for_confirms(connector: FakeConnector):
    connector.answer = None
    publisher = Publisher(connector, PLAN, "test", clock=QuickClock())
    future = submit(publisher, publication(), publication())
    await auntil(lambda: publisher.connected and len(connector.channel.open) == 2)

    closing = asyncio.create_task(publisher.close(5))
    await turns()
    assert not closing.done()
    connector.channel.settle(Verdict.CONFIRMED)
    connector.channel.settle(Verdict.CONFIRMED)

    assert await closing == 0
    assert future.result() == [None, None]
    assert not connector.link.is_open


async def test_close_counts_what_was_not_confirmed_and_ends_its_calls(connector: FakeConnector):
    connector.answer = None
    publisher = Publisher(connector, PLAN, "test", clock=QuickClock())
    future = submit(publisher, *(publication() for _ in range(3)))
    await auntil(lambda: publisher.connected and len(connector.channel.open) == 3)
    connector.channel.settle(Verdict.CONFIRMED)

    assert await publisher.close(0.03) == 2

    results = future.result(0)
    assert results[0] is None
    assert all(isinstance(error, PublishError) and error.may_have_arrived for error in results[1:])


async def test_many_batches_leave_at_once_whatever_one_of_them_does(
    publisher: Publisher, connector: FakeConnector, monkeypatch: pytest.MonkeyPatch
):
    """What is held back for the others of a turn must never stay."""
    assert await result(submit(publisher, publication())) == [None]
    held: list[bool] = []
    publish = connector.channel.publish

    def noted(*args: Any) -> None:
        held.append(connector.channel.held)
        if len(held) == 3:
            raise RuntimeError("not foreseen")
        publish(*args)

    monkeypatch.setattr(connector.channel, "publish", noted)
    with pytest.raises(RuntimeError):
        publisher.submit_all(deque(Batch([publication()], 5) for _ in range(4)))

    assert held == [True, True, True]
    assert not connector.channel.held


async def test_close_does_not_count_what_nobody_misses(connector: FakeConnector):
    connector.answer = None
    publisher = Publisher(connector, PLAN, "test", clock=QuickClock())
    best_effort = Batch([publication(), publication()], 60, best_effort=True)
    publisher.submit(best_effort)
    future = submit(publisher, publication())
    await auntil(lambda: publisher.connected and len(connector.channel.open) == 3)

    assert publisher.owed == 1
    assert await publisher.close(0.02) == 1

    assert all(
        isinstance(error, PublishError)
        for ended in (best_effort.future, future)
        for error in ended.result(0)
    )


async def test_close_without_a_connection_ends_too(connector: FakeConnector):
    connector.up = False
    publisher = Publisher(connector, PLAN, "test", clock=QuickClock())
    future = submit(publisher, publication(), timeout=60)

    assert await publisher.close(0.02) == 1

    assert isinstance(future.result(0)[0], BrokerUnavailable)


async def test_release_lets_go_of_the_connection(publisher: Publisher, connector: FakeConnector):
    publisher.release()  # without one: nothing
    await result(submit(publisher, publication()))

    publisher.release()

    assert connector.link.released
