"""What two failures have in common: the place in the code where they happened.

A fingerprint survives what differs from message to message (numbers, ids, quoted values) and from
release to release (line numbers, the directory of the installation).
"""

from __future__ import annotations

import re
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
_BYTES: Final = 4


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
    frames: list[str] = []
    for found in _FRAME.finditer(traceback):
        file = "/".join(re.split(r"[/\\]", found["file"])[-2:])
        frame = f"{file}:{(found['function'] or '').strip()}"
        if not frames or frames[-1] != frame:
            frames.append(frame)
    if frames:
        return "\n".join(frames[-_INNERMOST:])
    first = message.strip().partition("\n")[0]
    return _VARYING.sub("*", first)


def innermost(traceback: str) -> str:
    """Where a failure happened: ``tasks.py:31 in resize``, or an empty string."""
    last = None
    for found in _FRAME.finditer(traceback):
        last = found
    if last is None:
        return ""
    file = re.split(r"[/\\]", last["file"])[-1]
    function = (last["function"] or "").strip()
    return f"{file}:{last['line']}" + (f" in {function}" if function else "")
