"""Replay on a broker in memory: what arrives, what goes, what stays, and when it is cut short."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from rmqwork._admin.deadletters import replaying
from rmqwork._admin.deadletters.api import DeadLetters
from rmqwork._admin.deadletters.selection import Selection
from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.connector import MemoryConnector
from rmqwork.errors import BrokerUnavailable, ConfigurationError
from tests.unit.admin.deadletters.dead_letters import COUNT, fill, ids, published, taken


async def test_one_kind_goes_and_the_others_stay_in_their_order(
    connector: MemoryConnector, letters: DeadLetters
) -> None:
    report = await letters.areplay(Selection(errors=["KeyError"]))
    assert (report.selected, report.replayed, report.copies) == (4, 4, 0)
    assert report.targets == {"q": 4}
    assert await ids(letters) == [f"id{n}" for n in range(COUNT) if n % 3 != 1]
    arrived = await taken(connector, "q")
    assert [one.message_id for one in arrived] == ["id1", "id4", "id7", "id10"]
    assert all(one.headers["rmqwork-replay"] == 1 for one in arrived)
    assert all("rmqwork-attempt" not in one.headers for one in arrived)


async def test_a_dry_run_and_a_limit(connector: MemoryConnector, letters: DeadLetters) -> None:
    report = await letters.areplay(dry_run=True, to="p")
    assert (report.selected, report.replayed, report.targets) == (COUNT, 0, {"p": COUNT})
    assert len(await ids(letters)) == COUNT
    report = await letters.areplay(limit=5, to="p")
    assert (report.selected, report.replayed) == (5, 5)
    assert [one.message_id for one in await taken(connector, "p")] == [f"id{n}" for n in range(5)]
    assert await ids(letters) == [f"id{n}" for n in range(5, COUNT)]


async def test_copies_go_once(connector: MemoryConnector) -> None:
    copies = [published(1), published(2), published(1, rmqwork_replay=2), published(1)]
    other = published(1, body=b"another message of a producer that numbers badly")
    await fill(connector, [*copies, other])
    report = await DeadLetters(connector, ["q"]).areplay()
    assert (report.selected, report.replayed, report.copies) == (3, 3, 2)
    arrived = [
        (one.message_id, one.headers["rmqwork-replay"]) for one in await taken(connector, "q")
    ]
    assert arrived == [("id1", 3), ("id2", 1), ("id1", 1)]
    assert await taken(connector, "q.dlq") == []


async def test_what_no_queue_takes_stays(connector: MemoryConnector, letters: DeadLetters) -> None:
    report = await letters.areplay(to="nosuch")
    assert (report.replayed, report.refused) == (0, {"no queue takes queue 'nosuch'": COUNT})
    assert await ids(letters) == [f"id{n}" for n in range(COUNT)]


async def test_rounds_that_hold_only_some(
    connector: MemoryConnector, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "_ROUND_LETTERS", 5)
    told: list[tuple[int, int]] = []
    report = await letters.areplay(window=2, progress=lambda *step: told.append(step))
    assert (report.selected, report.replayed) == (COUNT, COUNT)
    assert told[-1] == (COUNT, COUNT)
    assert [one.message_id for one in await taken(connector, "q")] == [
        f"id{n}" for n in range(COUNT)
    ]


async def test_rounds_end_in_time(letters: DeadLetters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "_ROUND_SECONDS", 0.0)
    report = await letters.areplay()
    assert (report.replayed, await ids(letters)) == (COUNT, [])


async def test_what_fails_again_meanwhile_is_left(
    connector: MemoryConnector, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that fails at once must not keep a replay going for ever."""
    monkeypatch.setattr(replaying, "_ROUND_LETTERS", 2)
    report = await letters.areplay(to="q.dlq")
    assert (report.selected, report.replayed) == (COUNT, COUNT)
    assert sorted(await ids(letters)) == sorted(f"id{n}" for n in range(COUNT))


async def test_a_rate(letters: DeadLetters) -> None:
    began = time.monotonic()
    await letters.areplay(rate=40)
    assert time.monotonic() - began >= (COUNT - 1) / 40 - 0.02


async def test_a_full_queue_is_waited_for(
    connector: MemoryConnector, broker: MemoryBroker, letters: DeadLetters
) -> None:
    broker.faults.next_publish("nacked", times=2)
    report = await letters.areplay(limit=3)
    assert (report.replayed, report.refused) == (3, {})


async def test_cancelled_it_ends_its_step(connector: MemoryConnector, letters: DeadLetters) -> None:
    some = asyncio.Event()
    work = asyncio.ensure_future(
        letters.areplay(rate=50, progress=lambda done, _: some.set() if done == 3 else None)
    )
    await some.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    gone = [one.message_id for one in await taken(connector, "q")]
    assert sorted(gone + await ids(letters)) == sorted(f"id{n}" for n in range(COUNT))


@pytest.mark.parametrize("window", [1, 3])
async def test_cut_off_anywhere_nothing_is_lost_and_little_comes_twice(window: int) -> None:
    """The connection ends at each operation of a replay, as a kill ends it; then once more."""
    ended = 0
    for operations in range(200):
        broker = MemoryBroker("cut")
        quiet = MemoryConnector(broker, faults=False)
        await fill(quiet, [published(n) for n in range(6)])
        broker.faults.drop_connection(after=operations)
        try:
            await DeadLetters(MemoryConnector(broker), ["q"]).areplay(window=window)
        except BrokerUnavailable:
            ended += 1
        cut = broker.faults.happened == ["dropped"]
        await DeadLetters(quiet, ["q"]).areplay()
        came = Counter(one.message_id for one in await taken(quiet, "q"))
        assert set(came) == {f"id{n}" for n in range(6)}, operations
        assert came.total() - 6 <= window, operations
        assert await taken(quiet, "q.dlq") == []
        if not cut:
            break
    assert not cut
    assert ended > 10


@pytest.mark.parametrize("options", [{"rate": 0}, {"rate": -1.0}, {"window": 0}])
async def test_wrong_options_are_refused(letters: DeadLetters, options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        await letters.areplay(**options)  # type: ignore[arg-type]
