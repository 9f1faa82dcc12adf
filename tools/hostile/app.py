"""The app whose worker is attacked. Good tasks leave their key in the file RMQWORK_HOSTILE_RUNS."""

from __future__ import annotations

import os

from rmqwork import App, Retry

app = App("hostile", queues=["hostile"], default_queue="hostile")


def _no_class(_: object) -> type:
    raise ValueError("no class")


class Nasty(Exception):
    """An exception that cannot be told."""

    def __str__(self) -> str:
        raise SystemExit("no text")

    __class__ = property(_no_class)  # pyright: ignore[reportIncompatibleMethodOverride]


@app.task(retry=Retry(max_attempts=1))
def good(key: str) -> str:
    """Do what was asked."""
    with open(os.environ["RMQWORK_HOSTILE_RUNS"], "a") as file:
        file.write(f"{key}\n")
    return key


@app.task(retry=Retry(max_attempts=1))
def fails(key: str) -> None:
    """Fail for good."""
    raise ValueError(key)


@app.task(retry=Retry(max_attempts=2, wait=0.1))
def fails_twice(key: str) -> None:
    """Fail, and be tried once more."""
    raise ValueError(key)


@app.task(retry=Retry(max_attempts=1))
def nasty(key: str) -> None:
    """Fail with an exception that cannot be told."""
    raise Nasty(key)


@app.task(retry=Retry(max_attempts=1))
def dies(key: str) -> None:
    """Kill the process."""
    os._exit(9)
