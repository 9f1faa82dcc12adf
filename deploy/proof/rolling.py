"""A rolling update with real containers: old workers replaced one by one under load.

    python -m deploy.proof.rolling [--rate 300] [--workers 4] [--before 20]

Each new worker is started, and when it is ready an old one is stopped as the kubelet does it. Says
what became of each message, and how long messages waited before and during the roll; exit code 1
if anything was lost, dead-lettered or run again that was not handed back at the deadline.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

os.environ.setdefault("PROOF_LEDGER", os.devnull)

from deploy.proof.app import app
from deploy.proof.docker import Container, Site, until
from deploy.proof.load import Publisher, by_worker, latencies, percentile, spread
from deploy.proof.machine import Machine
from tools.chaos.ledger import Line, judge, pending, read

GRACE = 10
_TERMINATION = 25


def main() -> int:
    """Roll, and say what became of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--before", type=float, default=20)
    parser.add_argument("--longest", type=float, default=5.0)
    options = parser.parse_args()
    with Site() as site:
        broker = _broker(site)
        app_settings(f"amqp://guest:guest@{broker.address}:5672/")
        old = [_worker(site, f"old-{n}") for n in range(options.workers)]
        for one in old:
            one.wait_ready()
        machine = Machine()
        publisher = Publisher(site.ledger, options.rate, 0.1, options.longest)
        time.sleep(5)
        since = time.time()
        time.sleep(options.before)
        began = time.time()
        codes, moments = _roll(site, old)
        ended = time.time()
        publisher.stop()
        until(lambda: not pending(read(site.ledger)), "all tasks to end", 60, 0.5)
        time.sleep(7)  # the counts of quorum queues are five seconds old
        left = broker.exec("rabbitmqctl", "-q", "list_queues", "name", "messages")
        machine.stop()
        lines = read(site.ledger)
        verdict = judge(lines)
        print(f"messages       {len(verdict.acknowledged)} confirmed, {len(verdict.executed)} run")
        print(f"verdict        {verdict.counts()}")
        print(f"roll           {ended - began:.1f} s; exit codes of the old {codes}")
        rows = [row.split("\t") for row in left.splitlines()[1:]]
        print(f"left behind    {[row for row in rows if row[1] != '0']}")
        print(f"before         {machine.between(since, began)}")
        print(f"during         {machine.between(began, ended)}")
        _waits("publish-start", lines, (since, began, ended), "attempt", "start")
        _waits("publish-confirm", lines, (since, began, ended), "attempt", "confirm")
        _waits("confirm-start", lines, (since, began, ended), "confirm", "start")
        for what in ("starts", "stops"):
            windows = [(one, other) for name, one, other in moments if name == what]
            waits = sorted(ms for one in windows for ms in latencies(lines, *one))
            each = ", ".join(f"{other - one:.1f}" for one, other in windows)
            print(f"one {what:11}{spread(waits)}; it took {each} s")
        print(f"by worker      {by_worker(lines)}")
        good = verdict.good and not verdict.dead_lettered and not verdict.duplicated
        return 0 if good and not verdict.reruns and set(codes) == {0} else 1


def _waits(
    name: str, lines: Sequence[Line], times: tuple[float, float, float], first: str, last: str
) -> None:
    """Say how long one part of the way of a message took, before and during the roll."""
    since, began, ended = times
    before = latencies(lines, since, began, first, last)
    during = latencies(lines, began, ended, first, last)
    worse = percentile(during, 0.99) / max(0.1, percentile(before, 0.99))
    print(f"{name:15}before {spread(before)}")
    print(f"{'':15}during {spread(during)}; p99 {worse:.2f} x before")


def app_settings(url: str, heartbeat: int | None = None) -> None:
    """Have this process publish to a broker."""
    object.__setattr__(app.settings, "broker", tuple(url.split(",")))
    object.__setattr__(app.settings, "heartbeat", heartbeat)


def _broker(site: Site) -> Container:
    """A broker whose data is in memory: here it would share its disk with Docker, which syncs
    files when it starts a container; each confirm waits for a sync.
    """
    data = site.folder / "data"
    data.mkdir()
    data.chmod(0o777)
    volume = ("-v", f"{data}:/var/lib/rabbitmq/mnesia")
    return site.rabbitmq("rabbit", "--cpu-shares", "2048", *volume)


def _worker(site: Site, name: str) -> Container:
    # Shares as the kubelet gives them to a request of 500 millicores.
    shares = ("--cpu-shares", "512")
    environment = {"RMQWORK_GRACE": str(GRACE), "RMQWORK_TERMINATION_GRACE": str(_TERMINATION)}
    return site.worker(
        name, "-c", "40", "--async-concurrency", "200", environment=environment, options=shares
    )


def _roll(site: Site, old: list[Container]) -> tuple[list[int], list[tuple[str, float, float]]]:
    """Replace one after the other; returns exit codes, and when which moment was."""
    codes: list[int] = []
    moments: list[tuple[str, float, float]] = []
    for number, one in enumerate(old):
        began = time.time()
        _worker(site, f"new-{number}").wait_ready()
        ready = time.time()
        codes.append(one.stop(_TERMINATION))
        moments += [("starts", began, ready), ("stops", ready, time.time())]
    return codes, moments


if __name__ == "__main__":
    sys.exit(main())
