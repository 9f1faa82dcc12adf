"""The broker that tests run on, started once, when the first test asks for it.

With pytest-xdist the controller starts it and its workers ask for its address over a Unix socket,
so that any number of workers share one broker, and none pays for it that needs none. A worker may
use the shared broker but not break it: tests that kill or restart one take ``fragile_broker``.
"""

from __future__ import annotations

import os
import re
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Client, Listener
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from rmqwork.errors import BrokerUnavailable
from rmqwork.testing.broker import Broker, start_broker, vhost
from tests.requirements import broker_unavailable, missing_part, require_broker

# Each test makes its queues anew; none but those about it kills the broker just then.
os.environ.setdefault("RMQWORK_NEW_QUEUE_WAIT", "0")

# A shell that runs the tests in the background has them ignore Ctrl-C, and so would each program
# that they start and send it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of the machine's other work than of ours.
settings.register_profile("any load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any load")

SLOW_TIMEOUT = 400  # seconds
BROKER_FIXTURES = {"broker", "broker_version", "fragile_broker", "vhost_url"}
ADDRESS = "rmqwork_broker_desk"  # the key under which xdist's workers are told the socket

_said = pytest.StashKey[list[str]]()
_desk = pytest.StashKey["BrokerFixtureServer"]()


class BrokerFixtureServer:
    """Where the workers of pytest-xdist ask the controller for the broker."""

    def __init__(self, say: list[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rmqwork-desk-")
        self.address = str(Path(self._folder.name, "socket"))
        self._listener = Listener(self.address, family="AF_UNIX")
        self._say = say
        self._broker: Broker | None = None
        self._answer: object = None
        self._thread = threading.Thread(target=self._serve, name="broker desk", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            with self._listener.accept() as worker:
                if worker.recv() == "close":
                    return
                if self._answer is None:
                    self._answer = self._start()
                with suppress(OSError):  # a worker that is gone needs no answer
                    worker.send(self._answer)

    def _start(self) -> object:
        """Start the broker; returns where it is, or the error."""
        try:
            self._broker = start_broker(say=self._say.append)
        except Exception as error:
            return error
        return self._broker.url, self._broker.version, self._broker.management_url

    def close(self) -> None:
        ask(self.address, "close")
        self._thread.join()
        self._listener.close()
        self._folder.cleanup()
        if self._broker is not None:
            self._broker.close()


def ask(address: str, what: str) -> object:
    """Ask the desk for the broker, or to close."""
    with Client(address, family="AF_UNIX") as desk:
        desk.send(what)
        with suppress(EOFError):
            return desk.recv()
    return None


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_said] = []
    controller = not hasattr(config, "workerinput")
    if controller and config.getoption("dist", default="no") != "no":
        config.stash[_desk] = BrokerFixtureServer(config.stash[_said])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:  # type: ignore[no-untyped-def]  # xdist's WorkerController
    node.workerinput[ADDRESS] = node.config.stash[_desk].address


def pytest_unconfigure(config: pytest.Config) -> None:
    if (desk := config.stash.get(_desk, None)) is not None:
        desk.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    """Tell which broker was taken, and at last what was missing."""
    if config.stash[_said]:
        terminalreporter.section("broker")
        for line in config.stash[_said]:
            terminalreporter.write_line(line)
    skipped = terminalreporter.stats.get("skipped", [])
    parts = Counter(part for report in skipped if (part := missing_part(report)) is not None)
    if not parts:
        yield
        return
    # A line for each part is enough; pytest would give one for each test.
    terminalreporter.stats["skipped"] = [report for report in skipped if not missing_part(report)]
    try:
        yield
    finally:
        terminalreporter.stats["skipped"] = skipped
    terminalreporter.section("tests skipped for what is missing here")
    for part, count in sorted(parts.items()):
        terminalreporter.write_line(f"{count:5} {part}")
    terminalreporter.write_line("As root on Debian or Ubuntu: tools/setup test")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a broker, before ``-m`` chooses; give what is slow time on a busy machine."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))
        if BROKER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[Broker]:
    """The session's RabbitMQ (see :mod:`rmqwork.testing.broker`); shared: do not break it."""
    workerinput = getattr(pytestconfig, "workerinput", None)
    if workerinput is None:
        with require_broker(say=pytestconfig.stash[_said].append) as own:
            yield own
        return
    answer = ask(workerinput[ADDRESS], "broker")
    if isinstance(answer, BrokerUnavailable):
        broker_unavailable(answer)
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, tuple)
    url, version, management_url = answer
    yield Broker(url, "given", "pytest-xdist's controller started it", version, management_url)


@pytest.fixture(scope="session")
def fragile_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A RabbitMQ that this test may kill, stop and restart, and must leave running."""
    if not hasattr(request.config, "workerinput"):
        shared: Broker = request.getfixturevalue("broker")
        if shared.kind != "given":
            yield shared
            return
    somebody_else = os.environ.get("RMQWORK_TEST_BROKER") in (None, "", "given")
    prefer = "docker" if somebody_else else None
    with require_broker(prefer=prefer, say=request.config.stash[_said].append) as own:
        yield own


@pytest.fixture
def vhost_url(broker: Broker) -> Iterator[str]:
    """The AMQP URL of a virtual host of the test's own."""
    with vhost(broker) as url:
        yield url


@pytest.fixture(scope="session")
def broker_version(broker: Broker) -> tuple[int, ...]:
    """RabbitMQ's version, to compare with: ``(4, 3, 6)``."""
    assert broker.version is not None, "the broker does not tell its version"
    numbers = re.match(r"\d+(\.\d+)*", broker.version)
    assert numbers is not None, broker.version
    return tuple(int(number) for number in numbers[0].split("."))
