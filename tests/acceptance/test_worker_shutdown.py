"""How a worker leaves: nothing lost, nobody blamed, nothing left behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.support import SOON, Rabbit, Worker, WorkerHarness, figure, free_port, probe
from tests.waiting import until

ROUNDS = 25
RUNNING, WAITING = 8, 100
BUSY = ("-c", str(RUNNING), "--prefetch", str(RUNNING + WAITING))


def gone(worker: Worker) -> bool:
    """Whether none of its processes is left."""
    return not worker.family()


def back_after(rabbit: Rabbit, queue: str, count: int, since: float) -> float:
    """Wait for messages to be back in their queue; returns how long after ``since`` they were.

    What runs meanwhile waits for a gate that is shut: the messages do not wait for its end.
    """
    until(lambda: rabbit.ready(queue) == count, f"{count} messages back", SOON, 0.005)
    return time.time() - since


def counts(rabbit: Rabbit, queue: str, expected: int) -> list[int]:
    """The delivery count of each message of a queue; they stay in it, the last ones first.

    To hand all back in reverse brings those in front that were last; the counts are of before.
    """
    taken = [rabbit.take(queue, ack=False) for _ in range(expected)]
    assert None not in taken
    letters = [letter for letter in taken if letter is not None]
    for method, _, _ in reversed(letters):
        rabbit.channel.basic_nack(method.delivery_tag, requeue=True)
    rabbit.wait_ready(queue, expected)
    return [
        int((properties.headers or {}).get("x-delivery-count", 0)) for _, properties, _ in letters
    ]


def test_eight_finish_and_a_hundred_go_back(
    vhost_url: str, tmp_path: Path, broker_version: tuple[int, ...]
):
    gate = tmp_path / "gate"
    with WorkerHarness(vhost_url, tmp_path) as scene:
        wait_for = scene.task("wait_for")
        scene.many(wait_for.s(str(gate), str(number)) for number in range(RUNNING + WAITING))
        worker = scene.worker(*BUSY)
        scene.ledger.wait(RUNNING, "started")
        scene.rabbit.wait_ready("default", 0)

        sent = worker.send(signal.SIGTERM)

        back = back_after(scene.rabbit, "default", WAITING, sent)
        gate.touch()
        opened = time.time()
        assert worker.wait() == 0
        took = time.time() - opened
        figure("5", f"100 back after {back * 1000:.0f} ms; gone {took:.2f} s after the 8 may end")
        assert took < SOON
        assert len(scene.ledger.lines("started")) == RUNNING
        assert len(scene.ledger.lines("ran")) == RUNNING
        assert len(worker.log("succeeded")) == RUNNING
        until(lambda: gone(worker), "the end of all its processes", SOON)
        found = counts(scene.rabbit, "default", WAITING)
        figure("5", f"delivery counts after one round: {min(found)} to {max(found)}")
        assert scene.rabbit.ready("default") == WAITING
        if broker_version >= (4, 3):
            assert set(found) == {0}


@pytest.mark.slow
def test_nothing_is_dead_lettered_after_25_rounds(
    vhost_url: str, tmp_path: Path, broker_version: tuple[int, ...]
):
    gate = tmp_path / "gate"
    with WorkerHarness(vhost_url, tmp_path) as scene:
        wait_for = scene.task("wait_for")
        old = scene.many(wait_for.s(str(gate), "old") for _ in range(WAITING))
        backs, exits = [], []
        for number in range(ROUNDS):
            gate.unlink(missing_ok=True)
            scene.many(wait_for.s(str(gate), f"round {number}") for _ in range(RUNNING))
            counts(scene.rabbit, "default", WAITING + RUNNING)  # the new ones come first
            worker = scene.worker(*BUSY)
            scene.ledger.wait(RUNNING * (number + 1), "started")
            scene.rabbit.wait_ready("default", 0)
            sent = worker.send(signal.SIGTERM)
            backs.append(back_after(scene.rabbit, "default", WAITING, sent))
            gate.touch()  # what runs may end
            assert worker.wait() == 0
            exits.append(time.time() - sent)
            until(lambda worker=worker: gone(worker), "the end of all its processes", SOON)

        started = scene.ledger.lines("started")
        assert len(started) == len(scene.ledger.lines("ran")) == ROUNDS * RUNNING
        assert {line["attempt"] for line in started} == {1}
        stayed = len(set(old) - {line["id"] for line in started})
        found = counts(scene.rabbit, "default", WAITING)
        figure(
            "5",
            f"{ROUNDS} rounds: back after {max(backs) * 1000:.0f} ms at most, gone after "
            f"{max(exits):.2f} s at most; {stayed} messages handed back {ROUNDS} times, their "
            f"delivery counts up to {max(found)}; none dead-lettered",
        )
        assert stayed >= WAITING // 2
        assert scene.rabbit.ready("default.dlq") == 0
        if broker_version >= (4, 3):
            assert set(found) == {0}
        # And each of them runs at last, as if nothing had been.
        scene.worker(*BUSY)
        scene.ledger.wait(ROUNDS * RUNNING + WAITING, "ran")
        assert {line["attempt"] for line in scene.ledger.lines("ran")} == {1}
        assert scene.rabbit.ready("default.dlq") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_short_grace_hands_running_tasks_back(
    vhost_url: str, tmp_path: Path, number: signal.Signals
):
    gate = tmp_path / "gate"
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker("--grace", "1", "-c", "2")
        hopeless = scene.send("wait_for", path=str(gate))
        attentive = scene.send("until_stopping")
        cancelled = scene.send("anap", seconds=60)
        scene.ledger.wait(3, "started")

        sent = worker.send(number)

        assert worker.wait() == 3
        took = time.time() - sent
        figure("5", f"--grace 1, {number.name}: exit code 3 after {took:.2f} s")
        assert 0.9 <= took < SOON
        assert [line["id"] for line in scene.ledger.lines("ran")] == [attentive]
        named = " ".join(line["event"] for line in worker.log("handed back unfinished"))
        assert hopeless in named
        assert cancelled in named
        assert attentive not in named
        until(lambda: gone(worker), "the end of all its processes", SOON)
        assert scene.rabbit.ready("default") == 2

        gate.touch()
        scene.worker()
        assert scene.ledger.wait(1, "ran", id=hopeless)[0]["attempt"] == 1
        until(lambda: len(scene.ledger.lines("started", id=cancelled)) == 2, "the coroutine")


def test_a_second_signal_ends_the_wait(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker("--grace", "60", "-c", "1")
        running = scene.send("nap", seconds=60)
        waiting = scene.send("nap", seconds=60)
        scene.ledger.wait(1, "started")
        worker.send()
        worker.wait_log("stopping")
        until(lambda: scene.rabbit.ready("default") == 1, "what has not started to be back")
        assert worker.process.poll() is None

        sent = worker.send()

        assert worker.wait() == 3
        figure("5", f"second signal: exit code 3 after {time.time() - sent:.2f} s")
        assert time.time() - sent < SOON
        assert running in str(worker.log("handed back unfinished"))
        assert waiting not in str(worker.log("handed back unfinished"))
        assert scene.rabbit.ready("default") == 2
        until(lambda: gone(worker), "the end of all its processes", SOON)


def test_a_signal_while_the_app_is_imported(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker(env={"WORK_IMPORT_SLOW": str(tmp_path / "never")})
        scene.ledger.wait(1, "importing")

        sent = worker.send()

        assert worker.wait() == 0
        took = time.time() - sent
        figure("5", f"SIGTERM during the import: gone after {took:.2f} s")
        assert took < SOON
        until(lambda: gone(worker), "the end of all its processes", SOON)


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6])
def test_a_signal_at_any_moment_of_the_start(vhost_url: str, tmp_path: Path, delay: float):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        task_id = scene.send("mark")
        worker = scene.worker()
        # The moment is what the test is about, not a wait for something.
        time.sleep(delay)

        sent = worker.send()

        code = worker.wait()
        took = time.time() - sent
        figure("5", f"SIGTERM {delay:g} s after the start: exit code {code} after {took:.2f} s")
        # Before Python has started, the signal has its default.
        assert code in (0, -signal.SIGTERM)
        assert took < SOON
        until(lambda: gone(worker), "the end of all its processes", SOON)
        done = bool(scene.ledger.lines("ran", id=task_id))
        until(lambda: scene.rabbit.ready("default") == (0 if done else 1), "the message, once")


def test_a_signal_while_the_broker_is_away_at_the_start(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker(url=f"amqp://guest:guest@127.0.0.1:{free_port()}/")
        worker.wait_log("", logger="rmqwork.worker.consuming")

        sent = worker.send()

        assert worker.wait() == 0
        figure("5", f"SIGTERM without a broker: gone after {time.time() - sent:.2f} s")
        assert time.time() - sent < SOON
        until(lambda: gone(worker), "the end of all its processes", SOON)


def test_a_signal_while_the_broker_is_away(vhost_url: str, tmp_path: Path):
    gate = tmp_path / "gate"
    with WorkerHarness(vhost_url, tmp_path) as scene:
        proxy, port = scene.proxy(), free_port()
        worker = scene.worker("--health-port", str(port), "--grace", "10", url=proxy.url)
        running = scene.send("wait_for", path=str(gate))
        scene.ledger.wait(1, "started")
        until(lambda: probe(port)[0] == 200, "the worker to be ready")
        proxy.cut()
        until(lambda: probe(port)[0] == 503, "the worker to notice")
        assert probe(port, "/livez")[0] == 200

        sent = worker.send()
        worker.wait_log("stopping")
        gate.touch()

        # It has finished, and nobody could be told: whoever starts the next worker should know.
        assert worker.wait() == 3
        figure("5", f"SIGTERM while the broker is away: exit 3 after {time.time() - sent:.2f} s")
        assert time.time() - sent < SOON + 10
        worker.wait_log("1 outcomes were not settled")
        assert scene.ledger.lines("ran", id=running)
        until(lambda: gone(worker), "the end of all its processes", SOON)
        # At least once: the message is there, and runs again.
        scene.rabbit.wait_ready("default", 1)


def test_an_idle_worker_leaves_at_once(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker("-p", "2")
        scene.rabbit.wait_consumed("default")

        sent = worker.send()

        assert worker.wait() == 0
        took = time.time() - sent
        figure("5", f"an idle worker is gone after {took:.2f} s")
        assert took < SOON
        until(lambda: gone(worker), "the end of all its processes", SOON)


def test_ctrl_c_in_a_terminal_reaches_the_whole_group(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker()
        task_id = scene.send("nap", seconds=1.0)
        scene.ledger.wait(1, "started")

        # What systemd does with SIGTERM, and a terminal with SIGINT: all processes at once.
        for process in worker.family():
            os.kill(process.pid, signal.SIGINT)

        assert worker.wait() == 0
        assert len(scene.ledger.lines("ran", id=task_id)) == 1
        assert scene.rabbit.ready("default") == 0


def test_a_killed_worker_leaves_nobody_behind(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker("-p", "2")
        task_id = scene.send("nap", seconds=60)
        scene.ledger.wait(1, "started")
        until(lambda: len(worker.family()) == 4, "worker, template and two executors")

        worker.send(signal.SIGKILL)
        worker.wait()

        until(lambda: gone(worker), "the end of all its processes", SOON)
        scene.rabbit.wait_ready("default", 1)
        scene.worker()
        assert scene.ledger.wait(2, "started", id=task_id)[1]["attempt"] == 1


def test_a_worker_that_would_be_killed_before_its_grace_is_over_does_not_start(
    vhost_url: str, tmp_path: Path
):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker("--grace", "25", env={"RMQWORK_TERMINATION_GRACE": "20"})

        assert worker.wait() == 2
        assert "set terminationGracePeriodSeconds to 40 or more" in worker.said
