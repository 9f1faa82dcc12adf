"""An exception as evidence: its type, its text, and the traceback without our own frames."""

from __future__ import annotations

import contextlib
import os
from traceback import TracebackException
from types import TracebackType
from typing import Final

from rmqwork.outcome import Evidence

_OURS: Final = os.path.dirname(__file__) + os.sep
_THEIRS: Final = (f"{os.sep}fast_depends{os.sep}", f"{os.sep}anyio{os.sep}")
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


def _traceback(error: BaseException) -> str:
    try:
        report = TracebackException(
            type(error), error, _users_part(error.__traceback__), compact=True
        )
        text = "".join(report.format())
    except Exception as broken:
        return f"(the traceback cannot be had: {type(broken).__name__})"
    return _cut(text.rstrip(), _TRACEBACK_MOST)


def _users_part(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is not ours; all of it if there is none."""
    at = traceback
    while at is not None:
        name = at.tb_frame.f_code.co_filename
        ours = name.startswith(_OURS) or name == contextlib.__file__
        if not ours and not any(part in name for part in _THEIRS):
            return at
        at = at.tb_next
    return traceback


def _cut(text: str, most: int) -> str:
    """A text without its middle if it is too long: both ends tell more."""
    if len(text) <= most:
        return text.encode(errors="replace").decode()
    head = most // 4
    kept = f"{text[:head]}\n… {len(text) - most} characters …\n{text[head - most :]}"
    return kept.encode(errors="replace").decode()
