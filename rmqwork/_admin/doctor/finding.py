"""`Finding`: what is wrong, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Args:
        check: the name of the check, for programs.
        severity: ``error``: messages are lost, refused or not run; ``warning``: they may be.
        subject: what it is about: a queue, a node, a task.
        text: what is wrong.
        fix: what to do.
    """

    check: str
    severity: Severity
    subject: str
    text: str
    fix: str
