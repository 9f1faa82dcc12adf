"""`to_yaml`: Kubernetes objects as YAML, without a package for it.

Kubernetes objects are plain JSON values, so a small part of YAML is enough: block mappings and
sequences, plain, double-quoted and literal scalars (YAML 1.2, chapters 7 and 8).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

Object = Mapping[str, object]
"""A Kubernetes object, or a part of one."""

_PLAIN: Final = re.compile(r"[A-Za-z_/][\w./-]*(?: [\w./-]+)*", re.ASCII)
_WORDS: Final = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])
"""What readers of YAML 1.1 take for something else than a text."""


def to_yaml(objects: Iterable[Object], comment: str = "") -> str:
    """A stream of documents.

    Args:
        objects: of JSON's types only.
        comment: lines at the very beginning.
    """
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + "---\n".join("\n".join(_lines(one)) + "\n" for one in objects)


def _lines(value: object, indent: str = "") -> Iterator[str]:
    """The lines of a mapping or a sequence that is not empty."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _entry(f"{indent}{_scalar(str(key))}:", item, indent)
        return
    assert isinstance(value, Sequence)
    for item in value:
        if _is_block(item):
            first, *rest = _lines(item, indent + "  ")
            yield f"{indent}- {first.removeprefix(indent + '  ')}"
            yield from rest
        else:
            yield from _entry(f"{indent}-", item, indent)


def _entry(head: str, value: object, indent: str) -> Iterator[str]:
    if _is_block(value):
        yield head
        yield from _lines(value, indent + "  ")
    elif isinstance(value, str) and "\n" in value and _is_literal(value):
        yield f"{head} |"
        yield from (f"{indent}  {line}" for line in value.splitlines())
    else:
        yield f"{head} {_scalar(value)}"


def _is_block(value: object) -> bool:
    return isinstance(value, (Mapping, list, tuple)) and bool(value)


def _is_literal(text: str) -> bool:
    lines = text.split("\n")
    return lines[-1] == "" and all(
        line == line.strip() and line.isprintable() and line for line in lines[:-1]
    )


def _scalar(value: object) -> str:
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) is not None
    if plain and str(value).lower() not in _WORDS:
        return str(value)
    return json.dumps(value, ensure_ascii=False)
