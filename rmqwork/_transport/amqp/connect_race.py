"""Connect to the first of several addresses that answers, without waiting for the dead ones.

A node that is gone with its address (a pod, a machine) refuses nothing: it takes 3 s until the
kernel says that there is no way to it, or the whole time limit. So the next address is tried soon
after the one before, beside it (as RFC 8305 does with the addresses of one host).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar


class Closable(Protocol):
    """What is opened."""

    async def close(self) -> None:
        """Close it."""


L = TypeVar("L", bound=Closable)


async def first_of(
    attempts: Sequence[Callable[[], Awaitable[L | str]]], stagger: float
) -> tuple[L | None, list[str]]:
    """Make attempts, each some time after the one before or as soon as that has failed.

    Args:
        attempts: each returns what it has opened, or why it could not.
        stagger: seconds.

    Returns:
        the first that was opened, or None; and why the others were not, so far.
    """
    waiting = list(attempts)
    running: set[asyncio.Future[L | str]] = set()
    reasons: list[str] = []
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(waiting.pop(0)()))
            done, running = await asyncio.wait(
                running,
                timeout=stagger if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                result = attempt.result()
                if not isinstance(result, str):
                    running |= done - {attempt}
                    return result, reasons
                reasons.append(result)
        return None, reasons
    finally:
        await _give_up(running)


async def _give_up(running: set[asyncio.Future[Any]]) -> None:
    """End the attempts that are no longer needed; one may have succeeded just now."""
    for attempt in running:
        attempt.cancel()
    for result in await asyncio.gather(*running, return_exceptions=True):
        if not isinstance(result, (str, BaseException)):
            await result.close()
