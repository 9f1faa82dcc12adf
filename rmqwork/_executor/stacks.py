"""Where a running task stands, as text; read from another thread while it runs."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Iterator
from types import CoroutineType, FrameType
from typing import Any, Final

from rmqwork._tasks.evidence import is_ours

_MAX_LENGTH: Final = 32_000
"""Characters; the innermost frames are kept."""
_BOOTSTRAP: Final = threading.__file__
_NOTHING: Final = "it has just ended"


def thread_stack(ident: int | None) -> str:
    """The stack of a thread, the innermost frame last."""
    frame = sys._current_frames().get(ident or 0)
    return _NOTHING if frame is None else _text(list(traceback.walk_stack(frame))[::-1])


def coroutine_stack(task: asyncio.Task[Any], loop_thread: int | None) -> str:
    """The frames of a coroutine task, from its first to where it waits, or to where it holds the
    loop.

    Args:
        task: on its loop.
        loop_thread: the thread of the loop.
    """
    frames = list(_awaited(task.get_coro()))
    if not frames:
        return _NOTHING
    inner = sys._current_frames().get(loop_thread or 0)
    held = [] if inner is None else list(traceback.walk_stack(inner))
    for index, (frame, _) in enumerate(held):
        if frame is frames[0][0]:  # it runs just now: all that it has called is above it
            return _text(held[: index + 1][::-1])
    return _text(frames)


def _awaited(awaitable: Any) -> Iterator[tuple[FrameType, int]]:
    """The frame of a coroutine, of what it awaits, and so on."""
    while awaitable is not None:
        if isinstance(awaitable, CoroutineType):
            frame, awaitable = awaitable.cr_frame, awaitable.cr_await
        else:
            frame = getattr(awaitable, "gi_frame", None) or getattr(awaitable, "ag_frame", None)
            awaitable = getattr(awaitable, "gi_yieldfrom", None) or getattr(
                awaitable, "ag_await", None
            )
        if frame is None:
            return
        yield frame, frame.f_lineno


def _begins(filename: str) -> bool:
    """Whether code of this file begins a thread: Python's own, ``<frozen runpy>`` in the first."""
    return filename == _BOOTSTRAP or filename.startswith("<frozen ")


def _text(frames: list[tuple[FrameType, int]]) -> str:
    """Format a stack from the first frame that is not ours; all of it if all are."""
    names = [frame.f_code.co_filename for frame, _ in frames]
    users = (at for at, name in enumerate(names) if not (is_ours(name) or _begins(name)))
    first = next(users, 0)
    text = "".join(traceback.StackSummary.extract(iter(frames[first:])).format())
    return text if len(text) <= _MAX_LENGTH else "…\n" + text[-_MAX_LENGTH:]
