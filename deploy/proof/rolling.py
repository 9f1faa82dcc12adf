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
import threading
import time

os.environ.setdefault("PROOF_LEDGER", os.devnull)

from deploy.proof.app import app
from deploy.proof.docker import Container, Site, until
from deploy.proof.load import Publisher, by_worker, latencies, percentile, spread
from rmqwork.testing.ledger import judge, pending, read

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
        broker = site.rabbitmq("rabbit", "--cpu-shares", "2048")
        app_settings(f"amqp://guest:guest@{broker.address}:5672/")
        old = [_worker(site, f"old-{n}") for n in range(options.workers)]
        for one in old:
            one.wait_ready()
        publisher = Publisher(site.ledger, options.rate, 0.1, options.longest)
        time.sleep(5)
        since = time.time()
        time.sleep(options.before)
        began = time.time()
        codes = _roll(site, old)
        ended = time.time()
        publisher.stop()
        until(lambda: not pending(read(site.ledger)), "all tasks to end", 60, 0.5)
        time.sleep(7)  # the counts of quorum queues are five seconds old
        left = broker.exec("rabbitmqctl", "-q", "list_queues", "name", "messages")
        lines = read(site.ledger)
        verdict = judge(lines)
        before, during = latencies(lines, since, began), latencies(lines, began, ended)
        worse = percentile(during, 0.99) / max(0.1, percentile(before, 0.99))
        print(f"messages       {len(verdict.acknowledged)} confirmed, {len(verdict.executed)} run")
        print(f"verdict        {verdict.counts()}")
        print(f"roll           {ended - began:.1f} s; exit codes of the old {codes}")
        rows = [row.split("\t") for row in left.splitlines()[1:]]
        print(f"left behind    {[row for row in rows if row[1] != '0']}")
        print(f"before         {len(before)} messages: {spread(before)}")
        print(f"during         {len(during)} messages: {spread(during)}; p99 {worse:.2f} x before")
        print(f"by worker      {by_worker(lines)}")
        good = verdict.good and not verdict.dead_lettered and not verdict.duplicated
        return 0 if good and not verdict.reruns and set(codes) == {0} else 1


def app_settings(url: str) -> None:
    """Have this process publish to a broker."""
    object.__setattr__(app.settings, "broker", tuple(url.split(",")))


def _worker(site: Site, name: str) -> Container:
    # Shares as the kubelet gives them to a request of 500 millicores.
    shares = ("--cpu-shares", "512")
    environment = {"RMQWORK_GRACE": str(GRACE), "RMQWORK_TERMINATION_GRACE": str(_TERMINATION)}
    return site.worker(
        name, "-c", "40", "--async-concurrency", "200", environment=environment, options=shares
    )


def _roll(site: Site, old: list[Container]) -> list[int]:
    codes: list[int] = []
    stops: list[threading.Thread] = []
    for number, one in enumerate(old):
        fresh = _worker(site, f"new-{number}")
        fresh.wait_ready()
        stop = threading.Thread(target=lambda one=one: codes.append(one.stop(_TERMINATION)))
        stop.start()
        stops.append(stop)
        stop.join()  # as with maxSurge 1 where the surge is still there: one more at a time
    return codes


if __name__ == "__main__":
    sys.exit(main())
