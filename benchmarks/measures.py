"""The kinds of workloads: what is done in a run, and which figures come out."""

from __future__ import annotations

import multiprocessing
import time

from benchmarks import stage as tasks
from benchmarks.plan import NATIVE
from benchmarks.runs import SKIP, Figures, Run

EACH = 1_000
FLIGHT = 20_000
FLIGHT_OF_SLOW = 4_000
SLEEPS, SLEEP, AT_ONCE = 2_000, 0.050, 100
BURNS, BURN, BURNERS = 400, 0.020, 2
LATENCY_SECONDS = 10.0
MOST_BYTES = 100 << 20


def publish(run: Run) -> Figures:
    """Publish; the figures are the publisher's own."""
    mode, size = str(run.workload.options["mode"]), int(run.workload.options.get("size", 256))
    who = run.contender
    if mode == "best":
        mode = who.flight[0]
    if who is NATIVE:
        window = {"each": 1, "many": 1000, "threads": tasks.THREADS}[mode]
        return run.native("publish", window, run.stage.count(EACH if window == 1 else FLIGHT), size)
    planned = EACH if mode == "each" else FLIGHT if who.own else FLIGHT_OF_SLOW
    count = max(20, min(run.stage.count(planned), MOST_BYTES // max(size, 1)))
    run.prepare(count)
    return run.publish(mode, count, size=size)


def drain(run: Run) -> Figures:
    """Fill the queue, start the worker, look at when each task ran."""
    options = run.workload.options
    size, task = int(options.get("size", 256)), str(options.get("task", "noop"))
    count = run.stage.count(run.contender.drains / int(options.get("share", 1)))
    count = max(20, min(count, MOST_BYTES // max(size, 1)))
    if run.contender is NATIVE:
        run.native("publish", 1000, count, size)
        return run.native("drain", 1, count)
    run.prepare(count)
    run.publish("fill", count, kind=task, size=size)
    return _drained(run, count)


def _drained(run: Run, count: int) -> Figures:
    """Start the worker and wait until so many of the first messages were run."""
    marks = run.marks
    first = int(count * SKIP)
    seen = marks.done[: min(len(marks.done), count + count // 10)]
    with run.worker() as worker:
        run.wait(lambda: _seen(seen, first), worker, 0.01)
        cpu, at = worker.cpu(), time.monotonic()
        run.wait(lambda: _seen(seen, count), worker)
        cpu, end = worker.cpu() - cpu, time.monotonic()
        done = marks.finished()
    between = sum(1 for one in done if at < one <= end)
    done = done[:count]
    return {
        "count": count,
        "rate": (count - first - 1) / (done[-1] - done[first]),
        "cpu_per_1000": cpu / max(between, 1) * 1000,
    }


def _seen(done: memoryview, count: int) -> bool:
    """Whether so many tasks have run; looks at a few, and at all only when these have."""
    step = max(1, len(done) // 100)
    if sum(1 for at in done[::step] if at > 0) * step < count * 0.9:
        return False
    return sum(1 for at in done if at > 0) >= count


def latency(run: Run) -> Figures:
    """Open loop: publish at a steady rate, look when each task ran after it was due."""
    rate = int(run.workload.options.get("rate", 0)) or run.contender.loaded
    count = max(200, int(rate * LATENCY_SECONDS * min(1.0, run.stage.scale)))
    run.prepare(count)
    run.set(rate=rate)
    with run.worker() as worker:
        if run.contender.queue == "bench":
            run.publish("each", 1)
        run.wait_for_consumer(worker)
        run.marks.done[0] = 0.0
        run.publish("paced", count)
        run.wait(run.marks.all_done, worker)
    first = int(count * SKIP)
    late = sorted(
        (done - due) * 1000
        for due, done in zip(run.marks.due[first:], run.marks.done[first:], strict=True)
    )
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    figures = {name: late[min(len(late) - 1, int(len(late) * share))] for name, share in at.items()}
    return {"count": count, "rate": rate, **figures, "max": late[-1]}


def cpu(run: Run) -> Figures:
    """CPU-bound tasks on two processes, against two bare processes in the same minute."""
    count = run.stage.count(BURNS)
    bare = _bare(count)
    run.set(processes=BURNERS, concurrency=1)
    run.prepare(count)
    run.publish("fill", count, kind="burn")
    wall = _wall(run, count)
    return {"count": count, "wall": wall, "bare": bare, "ratio": wall / bare}


def _bare(count: int) -> float:
    """Seconds that the work takes in processes that do nothing else."""
    context = multiprocessing.get_context("fork")
    start = time.perf_counter()
    processes = [context.Process(target=_burn, args=(count // BURNERS,)) for _ in range(BURNERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return time.perf_counter() - start


def _burn(count: int) -> None:
    for _ in range(count):
        end = time.thread_time() + BURN
        while time.thread_time() < end:
            pass


def _wall(run: Run, count: int) -> float:
    """Seconds for all tasks, by those after the first tenth."""
    with run.worker() as worker:
        run.wait(run.marks.all_done, worker)
    done = run.marks.finished()
    first = int(count * SKIP)
    return (done[-1] - done[first - 1]) * count / (count - first)


def sleep(run: Run) -> Figures:
    """Many short waits at once, against what arithmetic says."""
    count = run.stage.count(SLEEPS) // AT_ONCE * AT_ONCE or AT_ONCE * 2
    run.set(concurrency=AT_ONCE)
    run.prepare(count)
    run.publish("fill", count, kind="sleep")
    wall = _wall(run, count)
    return {"count": count, "wall": wall, "ratio": wall / (count / AT_ONCE * SLEEP)}


def start(run: Run) -> Figures:
    """From the start of the worker to the first task's run."""
    run.prepare(1)
    run.publish("fill", 1)
    with run.worker() as worker:
        run.wait(run.marks.all_done, worker, 0.002)
        return {"seconds": run.marks.done[0] - worker.started}


def idle(run: Run) -> Figures:
    """Memory and CPU of a worker that has run one task and has nothing to do."""
    run.set(concurrency=4)
    run.prepare(1)
    run.publish("fill", 1)
    with run.worker() as worker:
        run.wait(run.marks.all_done, worker)
        time.sleep(2)
        seconds = max(2.0, min(10.0, 10 * run.stage.scale))
        used = worker.cpu()
        time.sleep(seconds)
        used = worker.cpu() - used
        return {
            "pss": worker.pss(),
            "cpu_percent": used / seconds * 100,
            "processes": len(worker.tree()),
        }


def depth(run: Run) -> Figures:
    """What a message costs while many wait: publish some more, and drain as many of the first."""
    deep, some = int(run.workload.options["depth"]), run.stage.count(10_000)
    if run.contender is NATIVE:
        run.native("publish", 1000, deep)
        published = run.native("publish", 1000, some)
        return {**run.native("drain", 1, some), **_of_publishing(published)}
    run.prepare(deep + some)
    run.publish("fill", deep)
    run.set(first=deep)
    published = run.publish("many", some)
    return {**_drained(run, some), **_of_publishing(published)}


def delayed(run: Run) -> Figures:
    """What a message costs while many others are delayed."""
    deep, some = int(run.workload.options["depth"]), run.stage.count(20_000)
    run.prepare(some)
    run.set(countdown=3600)
    later = run.publish("many", deep)
    run.set(countdown=0)
    published = run.publish("many", some)
    drained = _drained(run, some)
    return {**drained, **_of_publishing(published), "delayed_rate": later["rate"]}


def _of_publishing(figures: Figures) -> Figures:
    return {"publish_rate": figures["rate"], "publish_cpu_per_1000": figures["cpu_per_1000"]}
