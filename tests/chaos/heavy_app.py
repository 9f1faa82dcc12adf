"""Tasks that are bad neighbours: they hold the GIL in C, or burn every core."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from multiprocessing import get_context
from pathlib import Path

from rmqwork import App, Queue

app = App("heavy", queues=[Queue("heavy")])
DONE = Path(os.environ.get("HEAVY_DONE", "/dev/null"))


def note(what: str) -> None:
    with DONE.open("a") as file:
        file.write(f"{what}\n")


@app.task
def hold_the_gil(seconds: int) -> None:
    ctypes.PyDLL(None).sleep(seconds)  # unlike CDLL, PyDLL keeps the GIL
    note("held")


def _burn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


@app.task
def burn(seconds: float, processes: int) -> None:
    burners = [get_context("fork").Process(target=_burn, args=(seconds,)) for _ in range(processes)]
    for burner in burners:
        burner.start()
    for burner in burners:
        burner.join()
    note("burnt")


@app.task
def quick() -> None:
    note("quick")


@app.task(isolated=True)
def alone(die: bool) -> None:
    child = subprocess.Popen(["sleep", "600"])
    note(f"alone:{os.getpid()}:{child.pid}")
    if die:
        os._exit(9)
