"""The help texts of the command line are plain text: an asterisk in a pattern is no emphasis."""

from __future__ import annotations

import re
from typing import Any

import click
from sphinx.application import Sphinx

SINGLE_ASTERISK = re.compile(r"(?<!\*)\*(?!\*)")


def escape(_app: Sphinx, _context: click.Context, lines: list[str]) -> None:
    """Escape what reStructuredText would read as the start of an emphasis."""
    lines[:] = [line if "``" in line else SINGLE_ASTERISK.sub(r"\*", line) for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the handler to both places where help texts are shown."""
    app.setup_extension("sphinx_click")
    app.connect("sphinx-click-process-description", escape)
    app.connect("sphinx-click-process-options", escape)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
