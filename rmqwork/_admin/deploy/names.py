"""Names for Kubernetes objects, made from those of queues and exchanges."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

_MAX_LENGTH: Final = 50
"""Characters, so that a suffix still fits a label (RFC 1123: 63)."""
_OTHER: Final = re.compile(r"[^a-z0-9]+")


def kubernetes_name(text: str) -> str:
    """A text as an RFC 1123 label; different texts may become one."""
    name = _OTHER.sub("-", text.lower()).strip("-") or "x"
    if len(name) > _MAX_LENGTH:
        name = f"{name[:_MAX_LENGTH].rstrip('-')}-{fingerprint(text)}"
    return name


def unique_names(texts: Iterable[str], prefix: str) -> Mapping[str, str]:
    """A name for each text, ``<prefix>-<text>``, with a fingerprint where two would be one."""
    named = {text: kubernetes_name(f"{prefix}-{text}") for text in texts}
    often = Counter(named.values())
    return {
        text: name if often[name] == 1 else f"{name}-{fingerprint(text)}"
        for text, name in named.items()
    }


def fingerprint(text: str) -> str:
    """Eight characters that change with the text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
