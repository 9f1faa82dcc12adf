"""What two failures have in common: the place in the code where they happened.

A fingerprint survives what differs from message to message (numbers, ids, quoted values) and from
release to release (line numbers, the directory of the installation).
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final

_FRAME: Final = re.compile(
    r'^[ \t|+-]*File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:, in (?P<function>[^\n]+))?',
    re.MULTILINE,
)
_INNERMOST: Final = 8
"""Frames that count: a long traceback was cut at its beginning."""
_VARYING: Final = re.compile(
    r"""'[^'\n]*' | "[^"\n]*" | \b[0-9a-f]{8}-[0-9a-f-]{27}\b | 0x[0-9a-fA-F]+ | \d+""", re.VERBOSE
)
_SLASH: Final = re.compile(r"[/\\]")
_FILE: Final = 'File "'
_BYTES: Final = 4
_KINDS: Final = 512
"""Tracebacks that are remembered: the same one comes thousands of times."""


def fingerprint(*parts: str) -> str:
    """Eight hexadecimal digits for some texts."""
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=_BYTES).hexdigest()


def trail(traceback: str, message: str) -> str:
    """What is the same in all failures of one kind.

    Args:
        traceback: the innermost frames count, without their lines and directories, and one that
            calls itself counts once.
        message: counts where there are no frames, with its numbers and quoted values left out.
    """
    frames = _frames(_head(traceback))
    if frames:
        return frames
    first = message.strip().partition("\n")[0]
    return _VARYING.sub("*", first)


def _head(traceback: str) -> str:
    """A traceback without its end, which is another for each message."""
    return traceback[: traceback.find("\n", traceback.rfind(_FILE))]


@lru_cache(maxsize=_KINDS)
def _frames(head: str) -> str:
    frames: list[str] = []
    for found in _FRAME.finditer(head):
        file = "/".join(_SLASH.split(found["file"])[-2:])
        frame = f"{file}:{(found['function'] or '').strip()}"
        if not frames or frames[-1] != frame:
            frames.append(frame)
    return "\n".join(frames[-_INNERMOST:])


def innermost(traceback: str) -> str:
    """Where a failure happened: ``tasks.py:31 in resize``, or an empty string."""
    return _last_frame(_head(traceback))


@lru_cache(maxsize=_KINDS)
def _last_frame(head: str) -> str:
    last = None
    for found in _FRAME.finditer(head):
        last = found
    if last is None:
        return ""
    file = _SLASH.split(last["file"])[-1]
    function = (last["function"] or "").strip()
    return f"{file}:{last['line']}" + (f" in {function}" if function else "")
