"""An exception as evidence: its type, its text, and the traceback without our own frames."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from traceback import TracebackException, format_exception
from types import TracebackType
from typing import Final

from rmqwork.types import Evidence

_PACKAGE: Final = os.path.join(sys.modules[__name__.partition(".")[0]].__path__[0], "")
"""The directory of the whole package, wherever in it this module is."""
_EXAMPLE: Final = f"{os.sep}demo{os.sep}"
"""The part of the package that is an app, as users write them: its frames are for its readers."""
_MACHINERY: Final = (contextlib.__file__, importlib.__file__)
_THEIRS: Final = tuple(
    part.replace("/", os.sep) for part in ("/fast_depends/", "/anyio/", "/asyncio/base_events.py")
)
_TEXT_MOST: Final = 4000
_TRACEBACK_MOST: Final = 16000


def evidence_of(error: BaseException) -> Evidence:
    """The evidence of an exception, cut to a size that travels."""
    return Evidence(type_name(type(error)), text_of(error), _traceback(error))


def type_name(cls: type[BaseException]) -> str:
    """The qualified name of a class; builtins without their module."""
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def text_of(error: BaseException) -> str:
    """An exception's text, also of one that cannot say it."""
    try:
        text = str(error)
    except Exception as broken:
        text = f"(its text cannot be had: {type(broken).__name__})"
    return _cut(text, _TEXT_MOST)


def is_ours(filename: str) -> bool:
    """Whether code of this file calls the user's: rmqwork, a library below it, Python's import.

    Args:
        filename: of a frame's code.
    """
    if filename.startswith(_PACKAGE):
        return _EXAMPLE not in filename[len(_PACKAGE) :]
    return (
        filename.startswith("<frozen importlib")
        or filename in _MACHINERY
        or any(part in filename for part in _THEIRS)
    )


def users_part(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the first frame that is not ours; None if all are ours."""
    while frames is not None and is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return frames


def user_traceback(error: BaseException) -> str:
    """Format an exception from the first frame that is not ours; with all frames if all are."""
    frames = users_part(error.__traceback__) or error.__traceback__
    return "".join(format_exception(type(error), error, frames)).rstrip()


def _traceback(error: BaseException) -> str:
    frames = users_part(error.__traceback__) or error.__traceback__
    try:
        report = TracebackException(type(error), error, frames, compact=True)
        text = "".join(report.format())
    except Exception as broken:
        return f"(the traceback cannot be had: {type(broken).__name__})"
    return _cut(text.rstrip(), _TRACEBACK_MOST)


def _cut(text: str, most: int) -> str:
    """A text without its middle if it is too long: both ends tell more."""
    if len(text) <= most:
        return text.encode(errors="replace").decode()
    head = most // 4
    kept = f"{text[:head]}\n… {len(text) - most} characters …\n{text[head - most :]}"
    return kept.encode(errors="replace").decode()
