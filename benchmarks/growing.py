"""The app of `benchmarks.growth`: as many queues or partitions as its environment says."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.marks import Marks
from rmqwork import App, Queue

QUEUES = int(os.environ.get("GROWTH_QUEUES", "1"))
PARTITIONS = int(os.environ.get("GROWTH_PARTITIONS", "0"))
FOLDER = Path(os.environ.get("GROWTH_FOLDER", "."))
FILLING = "x" * 200

if PARTITIONS:
    queues = [Queue("growth-ordered", partitions=PARTITIONS, partition_key="number")]
else:
    queues = [Queue(f"growth-{number}") for number in range(QUEUES)]
app = App("growth", queues=queues)
_marks: list[Marks] = []


@app.lifespan
def ready() -> Iterator[None]:
    """Leave word that this executor is there."""
    _marks.append(Marks(FOLDER / "marks"))
    (FOLDER / f"up-{os.getpid()}").write_text(str(time.monotonic()))
    yield


@app.task(name="growth.noop")
def noop(number: int, filling: str) -> None:
    """Note the time of this run, and nothing else."""
    _marks[0].done[number] = time.monotonic()
