"""Measure workflows on a broker.

    python -m benchmarks.workflows kills --container NAME [--runs 20]
    python -m benchmarks.workflows latency|sizes|chain

``RMQWORK_BROKER`` names the broker; ``kills`` restarts the Docker container of it.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.workflows.shop import app
from benchmarks.workflows.stage import Log, Workers, chord, node, start
from rmqwork._messages.ids import uuid7

BROKER = os.environ.get("RMQWORK_BROKER", "amqp://guest:guest@localhost:5672/")


def kills(log: Log, container: str, runs: int, size: int) -> None:
    """A chord while both workers are killed and the broker is restarted in the middle."""
    workers = Workers(BROKER, log, "-c", "8")
    alive = [workers.start(), workers.start()]
    warm_up(log)
    good = 0
    for number in range(runs):
        run, began = uuid7(), time.monotonic()
        start(chord(size, run, seconds=0.02))
        faults = ["kill", "kill", "restart"]
        random.shuffle(faults)
        for at, fault in enumerate(faults, 1):
            log.wait(run, "member", size * at // (len(faults) + 1))
            if fault == "kill":
                alive.pop(0).kill()
                alive.append(workers.start())
            else:
                kind = "kill" if number % 2 else "stop"
                subprocess.run(["docker", kind, container], check=True, capture_output=True)
                subprocess.run(["docker", "start", container], check=True, capture_output=True)
        log.wait(run, "body")
        time.sleep(3.0)  # a second body would come now
        bodies = log.lines(run, "body")
        done = len(log.lines(run, "member"))
        right = len(bodies) == 1 and bodies[0]["ordered"] and bodies[0]["body"] == size
        good += right
        print(
            f"run {number + 1}: {' '.join(faults)}: {len(bodies)} body with {bodies[0]['body']} "
            f"values, ordered={bodies[0]['ordered']}, {done} header runs, "
            f"{time.monotonic() - began:.1f} s: {'ok' if right else 'WRONG'}",
            flush=True,
        )
    print(f"{good} of {runs} runs right; exit codes {sorted(workers.stop())}")


def warm_up(log: Log) -> None:
    """Until a worker works, and joins."""
    run = uuid7()
    start(chord(10, run))
    log.wait(run, "body")


def latency(log: Log, times: int) -> None:
    """From the end of the last header task to the start of the body."""
    workers = Workers(BROKER, log, "-c", "8")
    workers.start()
    warm_up(log)
    seconds = []
    for _ in range(times):
        run = uuid7()
        start(chord(20, run, seconds=0.005))
        log.wait(run, "body", every=0.01)
        last = max(note["at"] for note in log.lines(run, "member"))
        seconds.append(log.lines(run, "body")[0]["at"] - last)
    seconds.sort()
    print(
        f"last header task's end to body's start, {times} chords of 20: median "
        f"{statistics.median(seconds) * 1000:.1f} ms, p90 {seconds[int(times * 0.9)] * 1000:.1f} "
        f"ms, most {seconds[-1] * 1000:.1f} ms"
    )
    list(workers.stop())


def sizes(log: Log, times: int) -> None:
    """Groups of 1,000 and of 10,000 members."""
    workers = Workers(BROKER, log, "-c", "8")
    workers.start()
    warm_up(log)
    for size in (1_000, 10_000):
        whole, after = [], []
        for _ in range(times):
            run, began = uuid7(), time.time()
            start(chord(size, run))
            log.wait(run, "body", every=0.02)
            whole.append(log.lines(run, "body")[0]["at"] - began)
            run, began = uuid7(), time.time()
            start(chord(size, run, noted=True))
            log.wait(run, "body", every=0.1)
            last = max(note["at"] for note in log.lines(run, "member"))
            after.append(log.lines(run, "body")[0]["at"] - last)
        print(
            f"group of {size}: {min(whole):.2f} s from the publish to the body (best of {times}), "
            f"{min(whole) / size * 1e6:.0f} us a member; "
            f"{statistics.median(after) * 1000:.0f} ms from the last member to the body"
        )
    list(workers.stop())


def chain(log: Log, times: int, length: int) -> None:
    """A step of a chain against a plain task: one after the other, and many at once."""
    workers = Workers(BROKER, log, "-c", "8")
    workers.start()
    warm_up(log)
    plain, steps = [], []
    for _ in range(times):
        run, began = uuid7(), time.time()
        publications = [(n, run) for n in range(length)]
        for n, name in publications:
            app.tasks["flows.step"].delay(n, name, n == length - 1)
        log.wait(run, "last", every=0.01)
        plain.append(log.lines(run, "last")[0]["at"] - began)
        run, began = uuid7(), time.time()
        nodes = [node("step", value=0, run=run)]
        nodes += [node("step", "value", run=run) for _ in range(length - 2)]
        nodes.append(node("step", "value", run=run, last=True))
        start({"chain": nodes})
        log.wait(run, "last", every=0.01)
        (note,) = log.lines(run, "last")
        assert note["last"] == length - 1, note
        steps.append(note["at"] - began)
    one, other = min(plain) / length, min(steps) / length
    print(
        f"{length} plain tasks, each published when the one before is confirmed, and drained: "
        f"{one * 1e6:.0f} us each; a chain of {length}: {other * 1e6:.0f} us a step: "
        f"{other / one:.2f} x"
    )
    list(workers.stop())


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["kills", "latency", "sizes", "chain"])
    parser.add_argument("--container", default="")
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--size", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="workflows-") as directory:
        log = Log(Path(directory) / "log")
        if given.what == "kills":
            kills(log, given.container, given.runs or 20, given.size)
        elif given.what == "latency":
            latency(log, given.runs or 50)
        elif given.what == "sizes":
            sizes(log, given.runs or 3)
        else:
            chain(log, given.runs or 3, given.size)


if __name__ == "__main__":
    main()
