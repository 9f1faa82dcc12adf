"""The steps of the demo, on a broker in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rmqwork._cli.demo.app import HIGH, LOW, MakePortrait, MakeThumbnail, ledger_path
from rmqwork._cli.demo.images import portrait
from rmqwork._cli.demo.ledger import LedgerWriter, Line
from rmqwork._cli.demo.setup import Setup, Worker, WorkerFailed
from rmqwork._cli.demo.steps import Stalled, Steps, View, in_the_middle

MESSAGES = [
    MakePortrait(name="me", image=portrait(1)),
    MakeThumbnail(name="one", source="/one.jpg"),
    MakeThumbnail(name="two", source="/two.jpg"),
]


@pytest.fixture
def setup(tmp_path: Path, request: pytest.FixtureRequest) -> Setup:
    return Setup.make(f"memory://{request.node.name}", tmp_path, "http://source")


def view(settled: int, published: int = 10) -> View:
    return View(LOW, published=published, done=settled, dead=0, retries=0, waiting=0)


def test_what_is_neither_settled_nor_waiting_runs_or_is_delayed() -> None:
    found = View("q", published=10, done=3, dead=1, retries=5, waiting=2)

    assert (found.settled, found.elsewhere) == (4, 4)


def test_the_middle_is_at_40_per_cent_of_low_priority() -> None:
    assert not in_the_middle([view(3)])
    assert in_the_middle([view(4)])


async def test_it_watches_until_each_message_is_settled_and_counts_what_is_there(
    setup: Setup,
) -> None:
    async with Steps.open(setup) as steps:
        await steps.publish(MESSAGES)
        watching = steps.watch([])
        first = await anext(watching)

        # When all have run but one, which was tried again
        writer = LedgerWriter(ledger_path(setup.thumbnails))
        names = dict(zip(steps.published, ("me", "one", "two"), strict=True))
        *finished, last = steps.published
        for task_id in finished:
            writer.write(Line("done", task_id, steps.published[task_id], 1, names[task_id]))
        writer.write(Line("retry", last, steps.published[last], 1))
        second = await anext(watching)
        early = await steps.outcome([], 1.0)

        # And then that one, too; one thumbnail is torn
        writer.write(Line("done", last, steps.published[last], 2, names[last]))
        writer.close()
        (setup.thumbnails / "me.jpg").write_bytes(portrait(1))
        (setup.thumbnails / "one.jpg").write_bytes(portrait(1)[:500])
        rest = [views async for views in watching]
        played = await steps.outcome(["low-1 left"], 2.0)

    assert list(steps.published.values()) == [HIGH, LOW, LOW]
    assert [(one.queue, one.published, one.done, one.waiting) for one in first] == [
        (HIGH, 1, 0, 1),
        (LOW, 2, 0, 2),
    ]
    assert [(one.done, one.retries) for one in second] == [(1, 0), (1, 1)]
    assert early.balance.lost == {last}
    assert [one.settled for one in rest[-1]] == [1, 2]
    assert played.balance.balances
    assert (played.retries, played.whole, played.departures) == (1, 1, ["low-1 left"])


async def test_it_gives_up_where_nothing_moves(setup: Setup) -> None:
    async with Steps.open(setup) as steps:
        await steps.publish(MESSAGES)

        with pytest.raises(Stalled, match="nothing has moved for 0 s"):
            async for _ in steps.watch([], patience=0):
                pass


@pytest.fixture
def ended(tmp_path: Path) -> Worker:
    """A worker that has ended."""
    log = tmp_path / "log"
    log.write_text("why\n")
    process = subprocess.Popen([sys.executable, "-c", "exit(3)"])
    process.wait(30)
    return Worker("low-1", LOW, log, process)


async def test_it_ends_when_a_worker_has_ended(setup: Setup, ended: Worker) -> None:
    async with Steps.open(setup) as steps:
        await steps.publish(MESSAGES)

        with pytest.raises(WorkerFailed, match=r"exit code 3:\n  why"):
            async for _ in steps.watch([ended]):
                pass
