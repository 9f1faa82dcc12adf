"""Texts of `InvalidMessage`: pydantic's findings in one line, and long values cut."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

_MAX_FINDINGS: Final = 5
_TEXT_MOST: Final = 2000


def explain(error: ValidationError) -> str:
    """Each field with what is wrong with it, without the values (they may be secret)."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [
        f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}" if entry["loc"] else entry["msg"]
        for entry in found[:_MAX_FINDINGS]
    ]
    if len(found) > _MAX_FINDINGS:
        lines.append(f"and {len(found) - _MAX_FINDINGS} more")
    return "; ".join(lines)


def shortened(text: str) -> str:
    """A text for an error, cut to 2,000 characters."""
    return text if len(text) <= _TEXT_MOST else text[:_TEXT_MOST] + "…"
