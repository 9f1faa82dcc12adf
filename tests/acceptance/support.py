"""Real workers, a look at the broker by another client, and a proxy that fails on demand."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import pika
import psutil
from pika.exceptions import ChannelClosedByBroker

from rmqwork._admin.management import Management, likely_urls
from rmqwork._canvas.signature import Signature
from rmqwork._tasks.task import Task
from rmqwork.testing._node import free_ports
from rmqwork.testing.broker import Broker
from tests.acceptance.apps import work
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
WORK = "tests.acceptance.apps.work:app"
TIMEOUT = 60.0
"""Seconds that a test waits for what has no deadline of its own: the machine may be busy."""
_MARK = "WORK_TEST"
SOON = 15.0
"""Seconds for what takes a moment on an idle machine: more than a busy one needs for it, and less
than what it is to be told from (a grace of 25 s, tasks of a minute)."""
T = TypeVar("T")
# A queue that is not there yet closes a channel, which is no news here.
logging.getLogger("pika.channel").setLevel(logging.ERROR)


def crowded() -> float:
    """By which factor other work on this machine may make things late; 1 where there is none."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def figure(line: str, what: str) -> None:
    """Show a measured figure beside the line of the specification that it is for."""
    print(f"[{line}] {what}")


class Ledger:
    """What the tasks of `tests.acceptance.apps.work` have noted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self, what: str | None = None, **fields: object) -> list[dict[str, Any]]:
        """The lines with these fields, in the order in which they were written."""
        if not self.path.exists():
            return []
        wanted = fields if what is None else {"what": what, **fields}
        lines = map(json.loads, self.path.read_text().splitlines())
        return [line for line in lines if all(line.get(k) == v for k, v in wanted.items())]

    def count(self, what: str) -> int:
        """The number of lines of a kind, without a look at the rest of them."""
        if not self.path.exists():
            return 0
        return self.path.read_bytes().count(f'"what": "{what}"'.encode())

    def wait(
        self, count: int, what: str, timeout: float = TIMEOUT, **fields: object
    ) -> list[dict[str, Any]]:
        """Wait until there are so many lines of a kind."""

        def enough() -> bool:
            return self.count(what) >= count and len(self.lines(what, **fields)) >= count

        until(enough, f"{count} lines {what!r} {fields}", timeout)
        return self.lines(what, **fields)


class Worker:
    """A worker process with all that belongs to it; ends, and is looked after, with its context.

    Args:
        url: of the broker.
        ledger: where its tasks leave their lines.
        args: of the command line, after the app.
        app: ``module:attribute``.
        env: more of the environment.
        stdout: a descriptor for what tasks print.
    """

    def __init__(
        self,
        url: str,
        ledger: Ledger,
        *args: str,
        queues: Iterable[str] = ("default",),
        app: str = WORK,
        env: Mapping[str, str] | None = None,
        stdout: int = subprocess.DEVNULL,
    ) -> None:
        self._mark = secrets.token_hex(8)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("RMQWORK_")},
            "RMQWORK_NEW_QUEUE_WAIT": os.environ.get("RMQWORK_NEW_QUEUE_WAIT", "1"),
            "PYTHONPATH": str(ROOT),
            "RMQWORK_BROKER": url,
            "WORK_QUEUES": ",".join(queues),
            "WORK_LEDGER": str(ledger.path),
            _MARK: self._mark,
            **(env or {}),
        }
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rmqwork", "worker", app, "--log-format", "json", *args],
            cwd=ledger.path.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self.events: list[dict[str, Any]] = []
        """Its log."""
        self.text: list[str] = []
        """What it wrote on stderr that is no log line."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                self.events.append(json.loads(line))
            except ValueError:
                self.text.append(line)

    @property
    def said(self) -> str:
        """All that it has said, for people."""
        return "".join(self.text) + "\n".join(map(str, self.events[-60:]))

    def log(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """The log lines whose event has a text in it, with these fields."""
        return [
            line
            for line in list(self.events)
            if event in line["event"] and all(line.get(k) == v for k, v in fields.items())
        ]

    def wait_log(self, event: str, count: int = 1, timeout: float = TIMEOUT, **fields: object):
        """Wait until it has logged something."""
        until(lambda: len(self.log(event, **fields)) >= count, f"log {event!r}", timeout)
        return self.log(event, **fields)

    def send(self, number: int = signal.SIGTERM) -> float:
        """Send it a signal; returns when, as ``time.time()``."""
        now = time.time()
        self.process.send_signal(number)
        return now

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Wait for its end; returns its exit code."""
        code = self.process.wait(timeout)
        self._reader.join(TIMEOUT)
        return code

    def stop(self, timeout: float = TIMEOUT) -> int:
        """SIGTERM, and its exit code."""
        self.send()
        return self.wait(timeout)

    def family(self) -> list[psutil.Process]:
        """All processes that have its mark in their environment, itself included."""
        return [process for process in psutil.process_iter() if self._marked(process)]

    def _marked(self, process: psutil.Process) -> bool:
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
            return (
                f"{_MARK}={self._mark}".encode() in environment
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except (OSError, psutil.Error):
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            print(f"--- worker {self.process.pid} said:\n{self.said}\n---")
        ended = self.process.poll() is not None
        if not ended:
            # Not SIGKILL: a worker that is not polite here fails the test.
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2.0)
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(TIMEOUT)
            if kind is None:
                until(lambda: not self.family(), "the end of all its processes", SOON)
        finally:
            for process in self.family():
                with contextlib.suppress(psutil.Error):
                    process.kill()
            self.process.wait(TIMEOUT)
            self._reader.join(TIMEOUT)
            if self.process.stderr is not None:
                self.process.stderr.close()


class Depth(NamedTuple):
    """What a passive declare tells."""

    messages: int
    consumers: int


class Rabbit:
    """A look at the broker, and a hand in it, by another client: pika as it is."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel: Any = None

    def close(self) -> None:
        """Disconnect."""
        if self._connection.is_open:
            self._connection.close()

    @property
    def channel(self) -> Any:
        """A channel that is open."""
        if self._channel is None or not self._channel.is_open:
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()
        return self._channel

    def depth(self, queue: str) -> Depth | None:
        """The ready messages and the consumers of a queue, exact; None when there is none."""
        try:
            found = self.channel.queue_declare(queue, passive=True).method
        except ChannelClosedByBroker as error:
            if error.reply_code != 404:
                raise
            return None
        return Depth(int(found.message_count), int(found.consumer_count))

    def ready(self, queue: str) -> int:
        """How many messages wait in a queue; 0 when there is none."""
        depth = self.depth(queue)
        return 0 if depth is None else depth.messages

    def consumed(self, *queues: str) -> bool:
        """Whether each of these queues has a consumer."""
        depths = map(self.depth, queues)
        return all(depth is not None and depth.consumers for depth in depths)

    def wait_consumed(self, *queues: str) -> None:
        """Wait until somebody reads each of these queues."""
        until(lambda: self.consumed(*queues), f"consumers of {queues}")

    def wait_ready(self, queue: str, count: int, timeout: float = TIMEOUT) -> None:
        """Wait until so many messages wait in a queue."""
        until(lambda: self.ready(queue) == count, f"{count} messages in {queue}", timeout)

    def publish(
        self,
        queue: str,
        body: bytes,
        task: str | None,
        message_id: str | None = "by-hand",
        headers: Mapping[str, Any] | None = None,
        **properties: Any,
    ) -> None:
        """Publish by hand, as section 4 of the design says, straight to a queue's binding."""
        properties = {"content_type": "application/json", "delivery_mode": 2} | properties
        self.channel.basic_publish(
            "rmqwork.tasks",
            queue,
            body,
            pika.BasicProperties(
                message_id=message_id, type=task, headers=dict(headers or {}), **properties
            ),
            mandatory=True,
        )

    def take(self, queue: str, ack: bool = True) -> tuple[Any, Any, bytes] | None:
        """Take one message: method, properties, body."""
        method, properties, body = self.channel.basic_get(queue, auto_ack=ack)
        return None if method is None else (method, properties, body)

    def letters(self, queue: str, count: int = 1, timeout: float = TIMEOUT) -> list[Any]:
        """Wait for so many dead letters of a queue, and take all that are there."""
        self.wait_ready(f"{queue}.dlq", count, timeout)
        taken = []
        while (letter := self.take(f"{queue}.dlq")) is not None:
            taken.append(letter)
        return taken

    def close_worker(self, broker: Broker) -> None:
        """Have the broker close all connections of the worker of this virtual host."""
        management, place = manage(broker, self.url)

        def of_worker() -> list[str]:
            listed = json.loads(management.call("GET", f"vhosts/{place}/connections"))
            names = [one["name"] for one in listed if "worker" in _client_name(one)]
            return names if len(names) >= 3 and len(names) % 3 == 0 else []

        # The broker's list of connections is late.
        for name in until(of_worker, "three connections in the broker's list"):
            management.call("DELETE", f"connections/{quote(name, safe='')}")


def manage(broker: Broker, url: str) -> tuple[Management, str]:
    """The broker's management API, and the name of a virtual host in its paths."""
    urls = [broker.management_url] if broker.management_url else [*likely_urls(broker.url)]
    for address in urls:
        management = Management(address)
        if management.answers():
            return management, urlsplit(url).path[1:]
    raise AssertionError(f"no management API at {urls}")


def _client_name(connection: Mapping[str, Any]) -> str:
    return str(connection.get("client_properties", {}).get("connection_name", ""))


class Proxy:
    """Stands between a client and the broker, and lets through what it is told to.

    Args:
        url: the broker's.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "localhost", parts.port or 5672)
        self._listener = socket.create_server(("127.0.0.1", 0))
        user = parts.netloc.rpartition("@")[0]
        host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=f"{user}@{host}" if user else host))
        self._open = True
        self._deaf = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """The broker is away: connections break, and new ones are not taken."""
        with self._lock:
            self._open = False
        self._end()

    def swallow(self) -> None:
        """What clients send from now on never arrives."""
        self._deaf = True

    def restore(self) -> None:
        """All is well again, for new connections."""
        self._end()
        self._deaf = False
        self._open = True

    def close(self) -> None:
        """End."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end()

    def _end(self) -> None:
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:  # whoever cuts just now ends this one, too
                if not self._open:
                    client.close()
                    continue
                broker = socket.create_connection(self._target)
                self._sockets += [client, broker]
            for source, target, ours in ((client, broker, True), (broker, client, False)):
                threading.Thread(
                    target=self._pump, args=(source, target, ours), daemon=True
                ).start()

    def _pump(self, source: socket.socket, target: socket.socket, from_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if not (from_client and self._deaf):
                    target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class WorkerHarness:
    """A virtual host, a ledger, a publisher, a rival and any number of workers.

    Args:
        url: of the virtual host.
        folder: for the ledger.
        queues: of the app.
    """

    def __init__(self, url: str, folder: Path, *queues: str) -> None:
        self.url = url
        self.queues = queues or ("default",)
        self.ledger = Ledger(folder / "ledger")
        self.folder = folder
        self.app = work.make(self.queues, url)
        self.rabbit = Rabbit(url)
        self._stack = contextlib.ExitStack()
        self._stack.callback(self.app.close, 1.0)
        self._stack.callback(self.rabbit.close)

    def worker(self, *args: str, url: str | None = None, **keywords: Any) -> Worker:
        """Start a worker, which ends with the scene at the latest."""
        keywords.setdefault("queues", self.queues)
        return self._stack.enter_context(Worker(url or self.url, self.ledger, *args, **keywords))

    def proxy(self) -> Proxy:
        """A way to the broker that can fail."""
        proxy = Proxy(self.url)
        self._stack.callback(proxy.close)
        return proxy

    def send(self, task: str, /, **fields: Any) -> str:
        """Publish a task of the app `work`; returns its id."""
        return self.app.send_task(f"work.{task}", fields).id

    def task(self, name: str) -> Task[..., Any]:
        """A task of the app."""
        return self.app.tasks[f"work.{name}"]

    def many(self, signatures: Iterable[Signature[Any]], **options: Any) -> list[str]:
        """Publish signatures; returns their ids."""
        return [result.id for result in self.app.publish_many(signatures, **options)]

    def prefetches(self, broker: Broker) -> list[int]:
        """The prefetch of each consumer of the first queue, as the broker lists them."""
        management, place = manage(broker, self.url)
        listed = json.loads(management.call("GET", f"consumers/{place}"))
        return [one["prefetch_count"] for one in listed if one["queue"]["name"] == self.queues[0]]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)


def probe(port: int, path: str = "/readyz") -> tuple[int, dict[str, Any]]:
    """Ask a worker's health port; returns the status and what it says. Status 0: nobody there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, {}


def free_port() -> int:
    """A port that nobody listens on, and that the kernel gives to nobody meanwhile."""
    return free_ports(1)[0]
