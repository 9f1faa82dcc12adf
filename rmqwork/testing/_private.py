"""A private node: an installed ``rabbitmq-server``, run in a temporary folder on its own ports.

It shares nothing with a RabbitMQ that the machine may run as a service: not its ports, its Erlang
cookie, its port mapper (epmd), its data, its configuration or its user. It works as root or not.
The settings are those of https://www.rabbitmq.com/docs/configure#supported-environment-variables.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from rmqwork._admin.management import Management
from rmqwork.testing import _keeper
from rmqwork.testing._keep import Keeper
from rmqwork.testing._node import (
    READY,
    BrokerOperationError,
    ProviderUnavailable,
    free_ports,
    wait_until_ready,
    wait_until_silent,
)

# Debian's wrapper in /usr/sbin changes the user and the folder, so the real script goes first.
PLACES = (
    "/usr/lib/rabbitmq/bin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/opt/rabbitmq/sbin",
    "/usr/local/sbin",
    "/usr/sbin",
)

_CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
log.console = false
log.file.level = info
"""


def installed_server() -> Path | None:
    """The start script of an installed RabbitMQ, or None."""
    path = os.pathsep.join([*PLACES, os.environ.get("PATH", "")])
    found = shutil.which("rabbitmq-server", path=path)
    return Path(found) if found else None


class PrivateNode:
    """A RabbitMQ node of our own.

    Args:
        server: the ``rabbitmq-server`` script; ``rabbitmqctl`` stands beside it.
    """

    def __init__(self, server: Path) -> None:
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None
        ports = free_ports(4)
        self._keeper = Keeper("folder")
        try:
            self._environment = self._lay_out(self._keeper.folder, *ports)
            amqp, management = ports[0], ports[1]
            self.url = f"amqp://guest:guest@127.0.0.1:{amqp}/"
            self.management_url: str | None = f"http://guest:guest@127.0.0.1:{management}"
            self._management = Management(self.management_url)
            self.start()
        except BaseException:
            self.close()
            raise

    def _lay_out(
        self, folder: Path, amqp: int, management: int, distribution: int, epmd: int
    ) -> dict[str, str]:
        """Write the node's files; returns the environment that it and its tools run in."""
        (folder / ".erlang.cookie").write_text(secrets.token_hex(16))
        (folder / ".erlang.cookie").chmod(0o400)
        (folder / "rabbitmq.conf").write_text(
            _CONFIGURATION.format(amqp=amqp, management=management)
        )
        (folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RABBITMQ_", "ERL_"))
        }
        kept["PATH"] = os.pathsep.join([kept.get("PATH", ""), *PLACES, os.defpath]).lstrip(":")
        return kept | {
            _keeper.MARK: str(folder),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            "ERL_CRASH_DUMP": "/dev/null",
            "RABBITMQ_NODENAME": f"rmqwork-{amqp}@localhost",
            "RABBITMQ_NODE_PORT": str(amqp),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }

    def start(self) -> None:
        """Start the node, at first or again; return when it serves clients."""
        if self._process is not None:
            raise BrokerOperationError("the private node runs already: kill() or stop() it first")
        with (self._keeper.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._server],
                env=self._environment,
                cwd=self._keeper.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until_ready(self.url, self._management.answers, self._why_it_ended)

    def _why_it_ended(self) -> str | None:
        if self._process is None or (code := self._process.poll()) is None:
            return None
        text = (self._keeper.folder / "output").read_text(errors="replace").strip()
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"{self._server} ended with {code}: " + " | ".join(lines[-6:])

    def stop(self) -> None:
        """Shut down in good order: SIGTERM to the Erlang machine, as systemd does."""
        process = self._running()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        self._wait_for(process, READY)

    def kill(self) -> None:
        """SIGKILL the whole node; its port mapper stays, as after a crash."""
        process = self._running()
        os.killpg(process.pid, signal.SIGKILL)
        self._wait_for(process, 10.0)

    def pause(self) -> None:
        """SIGSTOP to the whole node."""
        os.killpg(self._running().pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.killpg(self._running().pid, signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BrokerOperationError("the private node does not run: start() it first")
        return self._process

    def _wait_for(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        """Return when all of the node's process group is gone, and with it its sockets."""
        process.wait(timeout)
        end = time.monotonic() + timeout
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < end:
                os.killpg(process.pid, 0)
                time.sleep(0.02)
        wait_until_silent(self.url)
        self._process = None

    def rabbitmqctl(self, *args: str) -> str:
        """Run ``rabbitmqctl`` on this node (about 1.5 s, most of it Erlang's start)."""
        try:
            ended = subprocess.run(
                [self._server.with_name("rabbitmqctl"), "-q", *args],
                env=self._environment,
                cwd=self._keeper.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=READY,  # on a stopped node some commands wait for ever
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BrokerOperationError(
                f"rabbitmqctl {' '.join(args)}: no end in {READY:.0f} s"
            ) from None
        if ended.returncode != 0:
            text = (ended.stderr or ended.stdout).strip()
            raise BrokerOperationError(
                f"rabbitmqctl {' '.join(args)} ended with {ended.returncode}: {text}"
            )
        return ended.stdout

    def close(self) -> None:
        """Kill everything, remove the folder."""
        self._keeper.tidy()
        if self._process is not None:
            self._process.wait()
            self._process = None


def start_private() -> PrivateNode:
    """A private node of the RabbitMQ that is installed here.

    Raises:
        ProviderUnavailable: none is installed, or it does not start.
    """
    if os.name != "posix":
        raise ProviderUnavailable("private nodes need Linux or macOS")
    server = installed_server()
    if server is None:
        raise ProviderUnavailable(
            "no rabbitmq-server is installed (Debian, Ubuntu: apt-get install rabbitmq-server;"
            " macOS: brew install rabbitmq)"
        )
    return PrivateNode(server)
