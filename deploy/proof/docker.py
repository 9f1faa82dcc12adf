"""Containers by the command line of Docker, each removed at the end."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
IMAGE = os.environ.get("RMQWORK_WORKER_IMAGE", "rmqwork-example")
RABBITMQ = os.environ.get("RMQWORK_RABBITMQ_IMAGE", "rabbitmq:4-management")
CGROUP = os.environ.get("RMQWORK_PROOF_CGROUP", "")
"""The parent of all containers' control groups: where others use the machine, too, one with more
shares of the CPU than theirs has the proof measured, and not them."""
APP = "app:app"
HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / "tools"
"""Mounted into workers, beside the app of the proofs, which keeps a ledger of `tools.chaos`."""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def docker(*args: str, check: bool = True, timeout: float = 120) -> str:
    """Run ``docker``; returns its output.

    Raises:
        RuntimeError: it failed; with its last words.
    """
    ended = subprocess.run(
        ["docker", *args], capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and ended.returncode:
        raise RuntimeError(f"docker {' '.join(args)[:200]}: {ended.stderr.strip()[-600:]}")
    return ended.stdout.strip()


def until(condition: Callable[[], T], what: str, timeout: float = 60, every: float = 0.02) -> T:
    """Wait until a condition holds, and return what it gave."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(every)
    return value


class Container:
    """A container that runs."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def state(self) -> Mapping[str, Any]:
        """Status, ExitCode, OOMKilled and more."""
        state: Mapping[str, Any] = json.loads(docker("inspect", "-f", "{{json .State}}", self.name))
        return state

    @property
    def address(self) -> str:
        """Its address on the network."""
        networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", "-f", networks, self.name)

    def probe(self, path: str = "/readyz", address: str | None = None) -> int:
        """The status of a probe; 0 = no answer."""
        url = f"http://{address or self.address}:8080{path}"
        try:
            with _OPENER.open(url, timeout=5) as answer:
                status: int = answer.status
                return status
        except urllib.error.HTTPError as error:
            return int(error.code)
        except OSError:
            return 0

    def wait_ready(self, timeout: float = 60) -> None:
        """Wait until its worker consumes."""
        address = until(lambda: self.address, "an address", timeout)
        until(lambda: self.probe("/readyz", address) == 200, f"{self.name} to be ready", timeout)

    def exec(self, *command: str) -> str:
        """Run a command in it."""
        return docker("exec", self.name, *command)

    def logs(self) -> str:
        """All that it wrote."""
        ended = subprocess.run(
            ["docker", "logs", self.name], capture_output=True, text=True, check=False
        )
        return ended.stdout + ended.stderr

    def stop(self, grace: int) -> int:
        """SIGTERM, a wait, SIGKILL: as the kubelet does it. Returns the exit code."""
        docker("stop", "-t", str(grace), self.name, timeout=grace + 60)
        return int(self.state["ExitCode"])

    def kill(self) -> None:
        """SIGKILL."""
        docker("kill", self.name)


class Site:
    """A network of containers, and a folder that they share; removed at the end.

    Args:
        folder: in memory, best: the ledger is synced line by line.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.id = f"rmqwork-proof-{secrets.token_hex(4)}"
        self.folder = folder or Path("/dev/shm", self.id)
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o777)
        self.ledger.touch()
        self.ledger.chmod(0o666)
        self.workers: list[Container] = []
        self._stack = ExitStack()
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        docker("network", "create", self.id)
        self._stack.callback(docker, "network", "rm", self.id, check=False)

    @property
    def ledger(self) -> Path:
        """The ledger of all workers and of the publisher."""
        return self.folder / "ledger"

    def run(self, name: str, image: str, *options: str, command: tuple[str, ...] = ()) -> Container:
        """Start a container; its name on the network is ``name``."""
        full = f"{self.id}-{name}"
        self._stack.callback(docker, "rm", "-fv", full, check=False)
        docker(
            "run", "-d", "--name", full, "--network", self.id, "--network-alias", name,
            "--hostname", name, "--label", f"rmqwork.owner={os.getpid()}",
            *(("--cgroup-parent", CGROUP) if CGROUP else ()), *options, image, *command,
        )  # fmt: skip
        return Container(full)

    def rabbitmq(self, name: str = "rabbit", *options: str) -> Container:
        """Start a broker, and wait until it serves."""
        broker = self.run(name, RABBITMQ, *options)
        self.wait_broker(broker)
        return broker

    def wait_broker(self, broker: Container, timeout: float = 120) -> None:
        """Wait until a broker's management API answers with all that it has."""
        address = until(lambda: broker.address, "an address")
        until(lambda: self._overview(address), f"{broker.name} to serve", timeout, 0.2)

    def _overview(self, address: str) -> bool:
        request = urllib.request.Request(
            f"http://{address}:15672/api/health/checks/port-listener/5672"
        )
        request.add_header("Authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")  # guest:guest
        try:
            with _OPENER.open(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def worker(
        self,
        name: str,
        *args: str,
        broker: str = "amqp://guest:guest@rabbit:5672/",
        options: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Container:
        """Start a worker as a pod has it: not root, a read-only root, no capabilities."""
        variables = {
            "RMQWORK_BROKER": broker,
            "RMQWORK_HEALTH_PORT": "8080",
            "PROOF_LEDGER": "/proof-ledger/ledger",
            "PYTHONPATH": "/project",
            **(environment or {}),
        }
        worker = self.run(
            name,
            IMAGE,
            "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges",
            "-v", f"{HERE}:/proof:ro", "-v", f"{TOOLS}:/project/tools:ro",
            "-v", f"{self.folder}:/proof-ledger", "-w", "/proof",
            *(part for key, value in variables.items() for part in ("-e", f"{key}={value}")),
            *options,
            command=("worker", APP, *args),
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
