"""What the project's docstrings need beyond napoleon: two repairs and a warning."""

from __future__ import annotations

from typing import Any

from docutils.nodes import block_quote, document
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger

BEFORE_NAPOLEON = 400
ESCAPED_SPACE = "\\ "
logger = getLogger(__name__)


def keep_colons(
    _app: Sphinx, what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Keep a colon in the first line of an attribute's docstring.

    napoleon reads ``"type: description"`` there. Here the types come from annotations, so it gets
    a first line that has no colon and shows nothing.
    """
    if what in {"attribute", "data", "property"}:
        lines.insert(0, ESCAPED_SPACE)


def shorten_factories(
    _app: Sphinx,
    _what: str,
    _name: str,
    _object: object,
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Write ``...`` for the default of a dataclass's factory: Sphinx cannot parse ``<factory>``."""
    return signature.replace("<factory>", "...") if signature else signature, returns


def warn_of_block_quotes(_app: Sphinx, page: document) -> None:
    """Warn of an example in a docstring that is set as a quotation, for it has no ``::``."""
    for quote in page.findall(block_quote):
        if quote.source and "docstring of" in quote.source:
            logger.warning("an indented example needs '::' before it", location=quote)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the handlers."""
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("autodoc-process-docstring", keep_colons, priority=BEFORE_NAPOLEON)
    app.connect("autodoc-process-signature", shorten_factories)
    app.connect("doctree-read", warn_of_block_quotes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
