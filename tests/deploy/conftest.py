from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

# Before the app of the proofs is imported, which has its ledger in every executor.
os.environ.setdefault("PROOF_LEDGER", os.devnull)

from deploy.proof.docker import Site, docker, until
from deploy.proof.rolling import app_settings
from tools.chaos.ledger import Line, read


class ContainersHarness:
    """A broker and a shared ledger, for all tests; each has workers of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        plugins = site.folder / "enabled_plugins"
        plugins.write_text("[rabbitmq_management, rabbitmq_prometheus].\n")
        volume = ("-v", f"{plugins}:/etc/rabbitmq/enabled_plugins:ro")
        self.broker = site.rabbitmq("rabbit", "--cpu-shares", "4096", *volume)
        app_settings(f"amqp://guest:guest@{self.broker.address}:5672/")

    def lines(self, kind: str, *ids: str) -> list[Line]:
        """The lines of a kind about some messages."""
        return [line for line in read(self.site.ledger) if line.kind == kind and line.id in ids]

    def wait(self, count: int, kind: str, *ids: str, timeout: float = 30) -> list[Line]:
        """Wait until there are so many lines of a kind about some messages."""
        until(lambda: len(self.lines(kind, *ids)) >= count, f"{count} times {kind}", timeout)
        return self.lines(kind, *ids)


@pytest.fixture(scope="session")
def _stage() -> Iterator[ContainersHarness]:
    with Site() as site:
        yield ContainersHarness(site)


@pytest.fixture
def stage(_stage: ContainersHarness) -> Iterator[ContainersHarness]:
    """The stage; a test that fails leaves no worker to the next one."""
    yield _stage
    for worker in _stage.site.workers:
        docker("rm", "-fv", worker.name, check=False)
    _stage.site.workers.clear()


def seconds_of(text: object) -> float:
    """A time of Docker's, with its nanoseconds, as seconds since the epoch."""
    whole, _, fraction = str(text).removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00").timestamp()


ROOT = Path(__file__).resolve().parents[2]
