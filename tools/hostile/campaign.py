"""A real worker, hostile messages among good ones, and what became of each."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import pika
from pika.exceptions import AMQPError

from rmqwork.testing.broker import start_broker, vhost
from tools.hostile.corpus import FAMILIES, mutated
from tools.hostile.frames import Hostile, RawProperties

QUEUES = ("hostile", "hostile.dlq", "hostile.suspects", "rmqwork.unroutable", "rmqwork.joins.dlq")
JOINS = tuple(f"rmqwork.joins.{number}" for number in range(4))
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Report:
    """What became of them.

    Args:
        sent: hostile messages.
        refused: those that the broker did not take (it closed the connection, or nacked).
        good: good messages that were sent.
        ran: good messages that ran.
        seconds: until the last good one had run; None = not all have.
        left: messages in the app's queue and in those of joins after the worker's end.
        dead: messages in dead-letter queues.
        idle: share of a core that the worker process used with nothing to do.
        memory: bytes by which the worker process grew.
        lines: of its log, a hostile message.
        log: bytes of its log, a hostile message.
        code: of its exit.
        tail: the end of its log.
    """

    sent: int = 0
    refused: int = 0
    good: int = 0
    ran: int = 0
    seconds: float | None = None
    left: dict[str, int] = field(default_factory=dict)
    dead: int = 0
    idle: float = 0.0
    memory: int = 0
    lines: float = 0.0
    log: float = 0.0
    code: int | None = None
    tail: str = ""

    @property
    def faults(self) -> list[str]:
        """What a worker must not do."""
        sent = max(1, self.sent)
        checks = {
            f"{self.good - self.ran} of {self.good} good messages never ran": self.ran != self.good,
            f"messages are left: {self.left}": any(self.left.values()),
            f"{self.idle:.0%} of a core when idle": self.idle > 0.03,
            f"the worker grew by {self.memory >> 20} MB": self.memory > 20 << 20 and sent > 100,
            f"{self.lines:.1f} lines of log a message": self.lines > 1.5 and sent > 20,
            f"{self.log:,.0f} bytes of log a message": self.log > 2_000 and sent > 20,
            f"exit code {self.code}": self.code != 0,
        }
        return [text for text, wrong in checks.items() if wrong]


def cases(families: Iterable[str]) -> list[Hostile]:
    """The corpus, or some families of it."""
    return list(chain.from_iterable(FAMILIES[name]() for name in families))


def chosen(families: Iterable[str], count: int, seed: int) -> list[Hostile]:
    """So many messages: the corpus, then mixtures of it, in an order of chance."""
    corpus = cases(families)
    found = corpus[:count] + list(islice(mutated(corpus, seed), max(0, count - len(corpus))))
    random.Random(seed).shuffle(found)
    return found


class Publisher:
    """Sends raw messages; a connection that the broker closes is opened again."""

    def __init__(self, url: str) -> None:
        self._parameters = pika.URLParameters(url)
        self.refused = 0
        self._open()

    def _open(self) -> None:
        self._connection = pika.BlockingConnection(self._parameters)
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()

    def send(self, message: Hostile) -> None:
        """Publish; returns when the broker has it, or has refused it."""
        key = "hostile" if message.routing_key is None else message.routing_key
        try:
            self._channel.basic_publish(
                message.exchange, key, message.body, RawProperties(message.properties)
            )
        except AMQPError:
            self.refused += 1
            if not self._channel.is_open:
                self._open()

    def good(self, key: str) -> None:
        """Publish a good message."""
        self._channel.basic_publish(
            "",
            "hostile",
            f'{{"key":"{key}"}}'.encode(),
            pika.BasicProperties(
                "application/json", message_id=key, type="hostile.good", delivery_mode=2
            ),
        )

    def counts(self, queues: Iterable[str]) -> dict[str, int]:
        """The messages that are ready in queues."""
        found = {}
        for queue in queues:
            try:
                found[queue] = self._channel.queue_declare(queue, passive=True).method.message_count
            except AMQPError:
                self._channel = self._connection.channel()
                self._channel.confirm_delivery()
        return found

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@contextmanager
def worker(url: str, folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process of the app; its log is in the file ``log``."""
    environment = {
        **os.environ,
        "RMQWORK_BROKER": url,
        "RMQWORK_HOSTILE_RUNS": str(folder / "runs"),
        "RMQWORK_MAX_MESSAGE_SIZE": str(4 << 20),
        "RMQWORK_UNKNOWN_TASK_GRACE": "1",
    }
    command = [sys.executable, "-m", "rmqwork", "worker", "tools.hostile.app:app"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-p", "2", "-c", "4", "--log-format", "json", *options],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def run(
    messages: list[Hostile],
    good: int,
    *,
    timeout: float = 60.0,
    say: Callable[[str], None] = lambda _: None,
    url: str | None = None,
) -> Report:
    """Attack a worker.

    Args:
        messages: the hostile ones.
        good: good ones among them.
        timeout: seconds in which all good ones have to run after the last was sent.
        say: is told what happens.
        url: of a virtual host; None: a broker is started.
    """
    with tempfile.TemporaryDirectory() as name:
        if url is not None:
            return _attacked(url, Path(name), messages, good, timeout, say)
        with start_broker() as broker, vhost(broker) as own:
            return _attacked(own, Path(name), messages, good, timeout, say)


def _attacked(
    url: str,
    folder: Path,
    messages: list[Hostile],
    good: int,
    timeout: float,
    say: Callable[[str], None],
) -> Report:
    report = Report(good=good)
    log, runs = folder / "log", folder / "runs"
    runs.touch()
    with worker(url, folder) as process:
        _until(lambda: b"works on" in log.read_bytes() or process.poll() is not None, 60)
        publisher = Publisher(url)
        _until(lambda: "hostile" in publisher.counts(QUEUES), 60)
        for number in range(20):  # what is made once is made before memory is measured
            publisher.good(f"warm-{number}")
        _until(lambda: len(set(runs.read_text().split())) == 20, 60)
        before, lines = _memory(process.pid), log.stat().st_size
        step = max(1, len(messages) // max(1, good))
        sent = 0
        for number, message in enumerate(messages):
            publisher.send(message)
            while sent < good and sent * step <= number:
                publisher.good(f"good-{sent}")
                sent += 1
        for number in range(sent, good):
            publisher.good(f"good-{number}")
        report.sent, report.refused = len(messages), publisher.refused
        say(f"{report.sent} hostile ({report.refused} refused), {good} good were sent")
        begin = time.monotonic()
        if _until(lambda: _good_ones(runs) == good, timeout, quiet=True):
            report.seconds = time.monotonic() - begin
        report.ran = _good_ones(runs)
        say(f"{report.ran} of {good} good have run")
        _until_still(lambda: (sum(publisher.counts(QUEUES).values()), log.stat().st_size), 30)
        cpu = _cpu(process.pid)
        time.sleep(5)
        report.idle = (_cpu(process.pid) - cpu) / 5
        report.memory = _memory(process.pid) - before
        text = log.read_bytes()[lines:]
        report.lines = text.count(b"\n") / max(1, report.sent)
        report.log = len(text) / max(1, report.sent)
        process.send_signal(signal.SIGTERM)
        try:
            report.code = process.wait(60)
        except subprocess.TimeoutExpired:
            report.code = None
        report.tail = log.read_text(errors="replace")[-6000:]
        if keep := os.environ.get("RMQWORK_HOSTILE_LOG"):
            Path(keep).write_bytes(log.read_bytes())
        report.left = publisher.counts((*JOINS, "hostile", "hostile.suspects"))
        report.dead = sum(publisher.counts(("hostile.dlq", "rmqwork.joins.dlq")).values())
        publisher.close()
    return report


def _good_ones(runs: Path) -> int:
    return len({key for key in runs.read_text().split() if key.startswith("good-")})


def _until(condition: Callable[[], object], timeout: float, *, quiet: bool = False) -> bool:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            if quiet:
                return False
            raise TimeoutError(f"waited {timeout:g} s in vain")
        time.sleep(0.1)
    return True


def _until_still(value: Callable[[], object], timeout: float) -> None:
    """Wait until a value has been the same for two seconds."""
    end, last, since = time.monotonic() + timeout, value(), time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < 2:
        time.sleep(0.2)
        now = value()
        if now != last:
            last, since = now, time.monotonic()


def _memory(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
