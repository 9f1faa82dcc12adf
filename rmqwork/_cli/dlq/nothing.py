"""When no dead letter fits."""

from __future__ import annotations

from typing import Final

from rmqwork.errors import RmqworkError

NOTHING: Final = 3
"""Exit code: no dead letter fits."""


class NoSuchLetter(RmqworkError):
    """No dead letter fits what was asked for."""

    exit_code: Final = NOTHING
