"""What is done to a node of a cluster: killed, stopped, restarted, or cut off from the others."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from deploy.proof.docker import Container, docker

Fault = Callable[[Container, float], AbstractContextManager[None]]
"""Breaks a node as it is entered, waits, and has mended it when it is left."""


@contextmanager
def _kill(node: Container, seconds: float) -> Iterator[None]:
    """SIGKILL: its connections are reset, or go to an address that is gone."""
    node.kill()
    yield
    time.sleep(seconds)
    docker("start", node.name)


@contextmanager
def _stop_app(node: Container, seconds: float) -> Iterator[None]:
    """``rabbitmqctl stop_app``, as upgrades and operators do it, and ``start_app``."""
    node.exec("rabbitmqctl", "-q", "stop_app")
    yield
    time.sleep(seconds)
    node.exec("rabbitmqctl", "-q", "start_app")


@contextmanager
def _restart(node: Container, seconds: float) -> Iterator[None]:
    """SIGTERM and a new start: what a rolling update of the broker's StatefulSet does."""
    docker("stop", "-t", "60", node.name)
    yield
    time.sleep(seconds)
    docker("start", node.name)


@contextmanager
def _cut(node: Container, seconds: float) -> Iterator[None]:
    """Its packets are dropped without a word, both ways: neither nodes nor clients are told."""
    pid = str(node.state["Pid"])
    _rules(pid, "-I")
    try:
        yield
        time.sleep(seconds)
    finally:
        _rules(pid, "-D")


def _rules(pid: str, action: str) -> None:
    for chain in ("INPUT", "OUTPUT"):
        interface = "-i" if chain == "INPUT" else "-o"
        rule = ("iptables", action, chain, interface, "eth0", "-j", "DROP")
        subprocess.run(["nsenter", "-t", pid, "-n", *rule], check=True, capture_output=True)


FAULTS: Mapping[str, Fault] = {
    "kill": _kill,
    "stop_app": _stop_app,
    "restart": _restart,
    "cut": _cut,
}
"""By name. To cut a node off needs root, and ``nsenter`` and ``iptables`` on this machine."""
