"""The two proofs of the dead-letter verbs, by hand.

    RMQWORK_BROKER=amqp://… python tools/prove_dead_letters.py [groups] [kills]

groups: 10,000 failures of 5 kinds from real workers; one kind is replayed after its fix, and the
management API counts. kills: ``dlq replay --all`` over 2,000 messages, killed at 50 random moments.
Each uses a virtual host of its own and removes it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rmqwork import App, Queue
from rmqwork._admin.management import Management, likely_urls
from rmqwork._publisher.batch import Batch
from rmqwork._publisher.publisher import Publisher
from rmqwork._topology.topology import app_declarations
from rmqwork._transport.connecting import connect
from rmqwork.errors import RmqworkError
from rmqwork.testing.broker import start_broker, vhost
from rmqwork.types import Publication

KINDS = 5
APP = """
import os
from rmqwork import App, Queue

app = App("proof", queues=[Queue("q")])

@app.task
def fails(n: int, kind: int) -> None:
    if str(kind) != os.environ.get("PROOF_FIXED"):
        [zero, one, two, three, four][kind](n)

def zero(n): raise ValueError(f"no {n}")
def one(n): raise KeyError(n)
def two(n): raise ValueError(f"no {n}")
def three(n): {}[n]
def four(n): [][n]
"""


def verb(folder: Path, url: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rmqwork", *arguments],
        cwd=folder, env=environment(url, more), capture_output=True, text=True, check=False,
    )  # fmt: skip


def environment(url: str, more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RMQWORK_")}
    source = str(Path(__file__).parents[1])
    return {
        **kept,
        "PYTHONPATH": source,
        "RMQWORK_BROKER": url,
        "RMQWORK_APP": "proof_app:app",
        **more,
    }


class Counts:
    """What the management API tells of the queues of one virtual host."""

    def __init__(self, url: str) -> None:
        self._place = urlsplit(url).path[1:]
        given = os.environ.get("RMQWORK_MANAGEMENT_URL")
        self._api = next(
            one for one in map(Management, [given] if given else likely_urls(url)) if one.answers()
        )

    def of(self, queue: str) -> int:
        told = json.loads(self._api.call("GET", f"queues/{self._place}/{queue}"))
        return int(told.get("messages", -1))

    def wait(self, queue: str, count: int, seconds: float = 300) -> None:
        end = time.monotonic() + seconds
        while (now := self.of(queue)) != count:
            if time.monotonic() > end:
                raise SystemExit(f"{queue}: {now} messages, not {count}")
            time.sleep(0.5)


def work(folder: Path, url: str, until: Any, **more: str) -> None:
    """Let a worker run until a condition holds."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "rmqwork", "worker", "-c", "8"],
        cwd=folder, env=environment(url, more), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until()
    finally:
        worker.terminate()
        print("  the worker ended with", worker.wait(60))


def groups(folder: Path, url: str, count: int = 10_000) -> None:
    app = App("proof", broker=url, queues=[Queue("q")])

    @app.task
    def fails(n: int, kind: int) -> None: ...

    for start in range(0, count, 1000):
        app.publish_many([fails.s(n, n % KINDS) for n in range(start, start + 1000)])
    app.close()
    counts = Counts(url)
    work(folder, url, lambda: counts.wait("q.dlq", count))
    began = time.monotonic()
    listed = json.loads(verb(folder, url, "dlq", "list", "--json").stdout)
    print(f"  one command, {time.monotonic() - began:.1f} s:")
    for one in listed["groups"]:
        print(f"    {one['id']} {one['count']:>6} {one['error_type']:<12} {one['where']}")
    assert [one["count"] for one in listed["groups"]] == [count // KINDS] * KINDS
    chosen = next(one for one in listed["groups"] if one["where"].endswith("in two"))
    began = time.monotonic()
    done = verb(folder, url, "dlq", "replay", "--group", chosen["id"], "--json")
    print(f"  replayed in {time.monotonic() - began:.1f} s: {done.stdout.strip()}")
    assert done.returncode == 0, done.stderr
    counts.wait("q.dlq", count - count // KINDS)
    counts.wait("q", count // KINDS)
    work(folder, url, lambda: counts.wait("q", 0), PROOF_FIXED="2")
    time.sleep(6)  # the API's figures are some seconds old
    print(f"  management API: q {counts.of('q')}, q.dlq {counts.of('q.dlq')}")
    after = json.loads(verb(folder, url, "dlq", "list", "--json").stdout)["groups"]
    left = {one["id"]: one["count"] for one in after}
    assert left == {
        one["id"]: one["count"] for one in listed["groups"] if one["id"] != chosen["id"]
    }
    print(f"  the 4 others, untouched: {left}")


async def fill(url: str, count: int) -> None:
    letters = [
        Publication("", "q.dlq", b'{"n":%d}' % n, f"id{n}", "proof.fails", {"rmqwork-queue": "q"})
        for n in range(count)
    ]
    publisher = Publisher(connect([url]), app_declarations([Queue("q")]), "proof")
    batch = Batch(letters, 60)
    publisher.submit(batch)
    refused = await asyncio.wrap_future(batch.future)
    assert not any(refused)
    await publisher.close(5)


async def taken(url: str, queue: str) -> list[str]:
    link = await connect([url]).open("proof")
    channel = await link.open_consuming(lambda _: None)
    found = []
    while (one := await channel.get(queue)) is not None:
        found.append(one.message_id or "")
        channel.ack(one)
    await channel.synced()
    await link.close()
    return found


def kills(folder: Path, url: str, count: int = 2000, wanted: int = 50) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    rate = os.environ.get("PROOF_RATE", "80")
    print(f"  seed {seed}, at most {rate} a second")
    asyncio.run(fill(url, count))
    done = unfinished = came = 0
    for _ in range(wanted):
        process = subprocess.Popen(
            [sys.executable, "-m", "rmqwork", "dlq", "replay", "--all", "--rate", rate],
            cwd=folder, env=environment(url, {}),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if chance.random() < 0.9:
            came = asyncio.run(until_more(url, came, process))
        try:
            process.wait(chance.random() * 1.0)
            unfinished += 1
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
    print(f"  {done} kills ({unfinished} runs ended before theirs)")
    left = len(asyncio.run(taken_and_back(url)))
    print(f"  after the last kill {left} dead letters of {count} are left")
    while verb(folder, url, "dlq", "replay", "--all").returncode != 3:
        pass
    arrived = Counter(asyncio.run(taken(url, "q")))
    lost = count - len(arrived)
    print(f"  lost {lost}, came {arrived.total()}, twice {arrived.total() - len(arrived)}")
    assert not lost
    assert arrived.total() - count <= done


async def until_more(url: str, before: int, process: subprocess.Popen[bytes]) -> int:
    """Wait until the replay has begun; returns how many messages have come by then."""
    link = await connect([url]).open("proof")
    try:
        while process.poll() is None:
            depth = await link.depth("q")
            if depth is not None and depth.messages > before:
                break
            await asyncio.sleep(0.01)
        depth = await link.depth("q")
        return 0 if depth is None else depth.messages
    finally:
        await link.close()


async def taken_and_back(url: str) -> list[Any]:
    from rmqwork.deadletters import aread

    await asyncio.sleep(1)
    return await aread(connect([url]), ["q"])


def main() -> None:
    proofs = {"groups": groups, "kills": kills}
    with start_broker(say=print) as broker:
        for name in sys.argv[1:] or proofs:
            print(name)
            with vhost(broker) as url, tempfile.TemporaryDirectory() as folder:
                Path(folder, "proof_app.py").write_text(APP)
                proofs[name](Path(folder), url)


if __name__ == "__main__":
    try:
        main()
    except RmqworkError as error:
        raise SystemExit(str(error)) from error
