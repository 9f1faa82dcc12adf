"""A test waits for a condition, never for the clock."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 60.0  # seconds: of a busy machine; a test that passes waits for a fraction of it


def until(
    condition: Callable[[], T],
    what: str | Callable[[], object] = "",
    timeout: float = DEADLINE,
    every: float = 0.01,
) -> T:
    """Block until a condition holds, and return the value that made it true.

    Args:
        condition: is called until what it returns is true.
        what: the condition in words, for the failure; a function is called for them then.
        timeout: seconds.
        every: seconds between two calls.

    Raises:
        AssertionError: it did not hold in time.
    """
    end = time.monotonic() + timeout
    while not (value := condition()):
        _check(end, timeout, what, value)
        time.sleep(every)
    return value


async def auntil(
    condition: Callable[[], T | Awaitable[T]],
    what: str | Callable[[], object] = "",
    timeout: float = DEADLINE,
    every: float = 0.002,
) -> T:
    """Like `until`, and let the event loop turn meanwhile; the condition may be a coroutine's."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value  # type: ignore[return-value]  # isawaitable does not narrow
        _check(end, timeout, what, value)
        await asyncio.sleep(every)


def _check(end: float, timeout: float, what: str | Callable[[], object], value: object) -> None:
    if time.monotonic() > end:
        text = what if isinstance(what, str) else str(what())
        raise AssertionError(f"waited {timeout:g} s in vain for {text or 'it'}; at last: {value!r}")
