"""Where the demo is played, and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rmqwork._cli.demo.app import FOLDER_VARIABLE
from rmqwork._cli.demo.ledger import Ledger
from rmqwork._cli.demo.screen import Screen
from rmqwork._cli.demo.workers import Departure, Worker
from rmqwork._messages.dead_letter import DeadLetter


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo is played.

    Args:
        url: of a virtual host of its own.
        images: the folder of what is published.
        thumbnails: the folder of what the tasks make, with their ledger.
        logs: the folder of the workers' logs.
        source_url: of the flaky source.
    """

    url: str
    images: Path
    thumbnails: Path
    logs: Path
    source_url: str
    screen: Screen

    def worker(self, name: str, queue: str, processes: int) -> Worker:
        """Start a worker here."""
        environment = {"RMQWORK_BROKER": self.url, FOLDER_VARIABLE: str(self.thumbnails)}
        return Worker(name, queue, processes, environment, self.logs)


@dataclass(frozen=True, slots=True)
class Played:
    """What came out of it."""

    ledger: Ledger
    letters: Sequence[DeadLetter]
    retries: int
    departures: Sequence[Departure]
    whole: int
    """Thumbnails on disk that could be opened."""
    seconds: float
    """From the first publish to the last settled message."""
