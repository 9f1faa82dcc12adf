"""Exit codes of the command line."""

from __future__ import annotations

from typing import Final

FAILED: Final = 1
"""An unexpected error."""
WRONG: Final = 2
"""Bad configuration or usage."""
NO_BROKER: Final = 4
"""The broker could not be reached."""
INTERRUPTED: Final = 130
"""Ctrl-C (128 + SIGINT)."""
BROKEN_PIPE: Final = 141
"""The reader of our output has left (128 + SIGPIPE)."""
