"""Carries faults out, and mends what they broke."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final
from urllib.parse import quote

from rmqwork._admin.management import Management, ManagementError
from rmqwork.errors import RmqworkError
from rmqwork.testing.broker import Broker
from tools.chaos.blame import BROKER
from tools.chaos.crew import Crew, Post, executors_of, template_of
from tools.chaos.faults import Fault
from tools.chaos.ledger import LedgerWriter

_SIGNALS: Final = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}
_GAP: Final = 1.0
"""Seconds that a broker is left alone between two faults."""


class Nemesis:
    """Breaks things as planned, in two threads: one for processes, one for the broker.

    Args:
        faults: the plan.
        crew: the processes.
        broker: ours to break, if the plan says so.
        ledger: where each fault is recorded before it happens, and when it is mended.
    """

    def __init__(
        self, faults: Sequence[Fault], crew: Crew, broker: Broker, ledger: LedgerWriter
    ) -> None:
        self._crew = crew
        self._broker = broker
        self._ledger = ledger
        self._halt = threading.Event()
        self._began = monotonic()
        self.problems: list[str] = []
        """Faults that could not be carried out."""
        by_broker = [fault for fault in faults if fault.role == "broker"]
        by_process = [fault for fault in faults if fault.role != "broker"]
        self._threads = [
            threading.Thread(target=self._run, args=(by_process, self._hit_process), daemon=True),
            threading.Thread(target=self._run, args=(by_broker, self._hit_broker), daemon=True),
        ]
        self._mending: list[threading.Timer] = []

    def start(self) -> None:
        """Begin."""
        self._began = monotonic()
        for thread in self._threads:
            thread.start()

    @property
    def busy(self) -> bool:
        """Whether something is still to be broken, or to be mended."""
        return any(thread.is_alive() for thread in (*self._threads, *self._mending))

    def halt(self) -> None:
        """Break nothing more; mend what is broken, and return when it is."""
        self._halt.set()
        for thread in (*self._threads, *self._mending):
            with suppress(RuntimeError):
                thread.join()

    def _run(self, faults: Sequence[Fault], hit: Callable[[Fault], None]) -> None:
        for fault in faults:
            if self._halt.wait(max(0.0, self._began + fault.at - monotonic())):
                return
            try:
                hit(fault)
            except (RmqworkError, ManagementError, OSError) as error:
                self.problems.append(f"{fault.name}: {error}")
                self._ledger.note(f"{fault.name} failed: {error}")

    # ── processes ─────────────────────────────────────────────────────────────────────────────

    def _hit_process(self, fault: Fault) -> None:
        posts = self._crew.producers if fault.role == "producer" else self._crew.workers
        living = [post for post in posts if post.pid is not None]
        if not living:
            return
        place = fault.lot * len(living)
        post = living[int(place)]
        pid = self._below(fault, post, place % 1.0)
        if pid is None:
            return
        number = _SIGNALS[fault.name.partition("-")[0]]
        who = post.who
        self._ledger.fault(fault.number, fault.name, who)
        self._crew.signal(post, number, None if pid == post.pid else pid)
        if number is not signal.SIGSTOP:
            self._ledger.healed(fault.number)
            return
        timer = threading.Timer(fault.seconds, self._go_on, (fault, post, who, pid))
        self._mending.append(timer)
        timer.start()

    def _below(self, fault: Fault, post: Post, lot: float) -> int | None:
        worker = post.pid
        if worker is None or fault.role in ("worker", "producer"):
            return worker
        if fault.role == "template":
            return template_of(worker)
        executors = executors_of(worker)
        return executors[int(lot * len(executors))] if executors else None

    def _go_on(self, fault: Fault, post: Post, who: str, pid: int) -> None:
        if post.who == who:
            self._crew.signal(post, signal.SIGCONT, pid)
        self._ledger.healed(fault.number)

    # ── the broker ────────────────────────────────────────────────────────────────────────────

    def _hit_broker(self, fault: Fault) -> None:
        self._ledger.fault(fault.number, fault.name, BROKER)
        broker = self._broker
        match fault.name:
            case "kill-broker":
                broker.kill()
                self._halt.wait(fault.seconds)
                broker.start()
            case "restart-broker":
                broker.restart()
            case "pause-broker":
                self._between(broker.pause, broker.resume, fault.seconds)
            case "stop-app":
                self._between(broker.stop_app, broker.start_app, fault.seconds)
            case "close-connections":
                self._close_connections()
            case "memory-alarm":
                self._alarm("set_vm_memory_high_watermark", "0.0001", "0.6", fault.seconds)
            case "disk-alarm":
                self._alarm("set_disk_free_limit", "900000GB", "50MB", fault.seconds)
        self._ledger.healed(fault.number)
        self._halt.wait(_GAP)

    def _between(self, begin: Callable[[], None], end: Callable[[], None], seconds: float) -> None:
        begin()
        try:
            self._halt.wait(seconds)
        finally:
            end()

    def _alarm(self, command: str, low: str, normal: str, seconds: float) -> None:
        self._between(
            lambda: _ignore(self._broker.rabbitmqctl(command, low)),
            lambda: _ignore(self._broker.rabbitmqctl(command, normal)),
            seconds,
        )

    def _close_connections(self) -> None:
        if self._broker.management_url is None:
            return
        management = Management(self._broker.management_url)
        for connection in json.loads(management.call("GET", "connections")):
            with suppress(ManagementError):  # it has ended meanwhile
                management.call("DELETE", f"connections/{quote(connection['name'], safe='')}")


def _ignore(_: object) -> None:
    """A result that nobody wants."""
