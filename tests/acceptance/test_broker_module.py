"""``rmqwork.testing.broker`` on real brokers: what it starts works, breaks, mends and goes away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pytest

from rmqwork._admin.management import Management, ManagementError
from rmqwork.testing import _keeper
from rmqwork.testing._private import installed_server
from rmqwork.testing.broker import Broker, BrokerOperationError, start_broker, vhost
from tests.requirements import require_program

# A program that starts a private node, says where, and waits for its end.
PROGRAM = """
import sys, time
from rmqwork.testing.broker import start_broker
broker = start_broker(prefer="private")
print(broker.url, broker._node._keeper.folder, flush=True)
time.sleep(600)
"""


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def keep_a_message(url: str, body: bytes, *, settle: float = 0) -> None:
    """Publish to a new queue; ``settle``: seconds between its declaration and the message.

    A quorum queue that is younger than some 0.5 s when the broker is killed (SIGKILL) comes back
    empty, its confirmed messages included: seen on 4.3.6 and 3.10.8, and nothing tells its age.
    """
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
        connection.sleep(settle)
        properties = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", "kept", body, properties, mandatory=True)


def kept_message(url: str) -> bytes | None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        body: bytes | None = channel.basic_get("kept")[2]
        return body


@pytest.fixture(scope="module")
def server() -> Path:
    """The start script of an installed RabbitMQ."""
    found = installed_server()
    return found or Path(require_program("rabbitmq-server", "rabbitmq-server"))


@pytest.fixture(scope="module")
def private(server: Path) -> Iterator[Broker]:
    with start_broker(prefer="private", say=lambda _: None) as broker:
        yield broker


class TestAnyBroker:
    def test_a_virtual_host_is_fresh_and_goes_away(self, broker: Broker) -> None:
        # Given two virtual hosts, one after the other
        with vhost(broker) as first:
            keep_a_message(first, b"one")
            # Then the message is in the first,
            assert kept_message(first) == b"one"
        with vhost(broker) as second:
            # the second is another one,
            assert second != first
        # and the first is gone.
        with pytest.raises(pika.exceptions.AMQPError):
            kept_message(first)

    def test_the_version_is_told(self, broker: Broker, broker_version: tuple[int, ...]) -> None:
        assert broker_version >= (3, 10)
        assert broker.version is not None
        assert broker.version.startswith(f"{broker_version[0]}.{broker_version[1]}")

    def test_a_broken_broker_comes_back_at_its_url(self, fragile_broker: Broker) -> None:
        # Given a confirmed message on a quorum queue
        with vhost(fragile_broker) as url:
            keep_a_message(url, b"kept", settle=2)
            # When the broker is killed
            fragile_broker.kill()
            # Then nobody is there,
            with pytest.raises(pika.exceptions.AMQPConnectionError):
                kept_message(url)
            # and once it is back, so is the message.
            fragile_broker.start()
            assert eventually(lambda: _served(url, b"kept"))

    def test_stop_app_closes_and_start_app_opens(self, fragile_broker: Broker) -> None:
        fragile_broker.stop_app()
        try:
            with pytest.raises(pika.exceptions.AMQPConnectionError):
                pika.BlockingConnection(pika.URLParameters(fragile_broker.url))
        finally:
            fragile_broker.start_app()
        with pika.BlockingConnection(pika.URLParameters(fragile_broker.url)) as connection:
            assert connection.is_open

    def test_a_given_broker_is_used_and_never_broken(
        self, broker: Broker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given the session's broker as somebody else's
        monkeypatch.setenv("RMQWORK_BROKER", broker.url)
        if broker.management_url:
            monkeypatch.setenv("RMQWORK_MANAGEMENT_URL", broker.management_url)
        given = start_broker(prefer="given", say=lambda _: None)
        # Then it is used,
        assert (given.kind, given.version) == ("given", broker.version)
        with vhost(given) as url:
            keep_a_message(url, b"here")
        # and left alone.
        with pytest.raises(BrokerOperationError, match="did not start it"):
            given.restart()
        given.close()
        with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
            assert connection.is_open


def _served(url: str, body: bytes) -> bool:
    try:
        return kept_message(url) == body
    except pika.exceptions.AMQPError:  # the virtual host comes up after the listener
        return False


@pytest.mark.usefixtures("server")
@pytest.mark.broker
class TestPrivateNode:
    def test_restarts_with_its_data(self, private: Broker) -> None:
        with vhost(private) as url:
            keep_a_message(url, b"kept")
            private.restart()
            assert eventually(lambda: _served(url, b"kept"))

    def test_start_of_a_running_node_is_refused(self, private: Broker) -> None:
        with pytest.raises(BrokerOperationError, match="runs already"):
            private.start()

    def test_rabbitmqctl_says_what_went_wrong(self, private: Broker) -> None:
        with pytest.raises(BrokerOperationError, match="no_such_command"):
            private.rabbitmqctl("no_such_command")

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_leaves_nothing_behind_however_its_parent_ends(self, number: int) -> None:
        # Given a program with a private node
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as program:
            assert program.stdout is not None
            url, folder = program.stdout.readline().split()
            assert {"epmd", "beam.smp"} <= {_name(pid) for pid in _keeper.marked_processes(folder)}
            with pika.BlockingConnection(pika.URLParameters(url)) as connection:
                assert connection.is_open
            # When it dies
            program.send_signal(number)
        # Then there is soon no process and no file of it left.
        assert eventually(lambda: not Path(folder).exists())
        assert _keeper.marked_processes(folder) == []

    def test_close_leaves_nothing_behind_at_once(self) -> None:
        broker = start_broker(prefer="private", say=lambda _: None)
        folder = broker._node._keeper.folder  # type: ignore[union-attr]
        management = Management(broker.management_url or "")
        assert folder.exists()
        broker.close()
        assert not folder.exists()
        assert _keeper.marked_processes(str(folder)) == []
        with pytest.raises(ManagementError):
            management.call("GET", "whoami")
        broker.close()  # a second time does nothing

    def test_works_for_somebody_who_is_not_root(self) -> None:
        if os.geteuid() != 0:
            pytest.skip("every other test here shows it")
        if _as_nobody("import rmqwork.testing.broker").returncode != 0:
            pytest.skip("the user nobody may not read this Python or this folder")
        ended = _as_nobody(
            "from rmqwork.testing.broker import start_broker\n"
            "with start_broker(prefer='private') as b: print(b.kind, b.version)"
        )
        assert ended.stdout.startswith(("private 3.", "private 4.")), ended


def _as_nobody(script: str) -> subprocess.CompletedProcess[str]:
    # Not sys.executable: a virtual environment's often leads into a folder of root's.
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"}
    return subprocess.run(
        [python, "-c", script],
        user=65534,
        group=65534,
        extra_groups=[],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()
