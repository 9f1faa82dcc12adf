"""`to_yaml`: Kubernetes objects as YAML, by PyYAML (``rmqwork[deploy]``)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any, Final

import yaml

from rmqwork._admin.deploy.objects import Object

_PLAIN: Final = re.compile(r"[A-Za-z_/][\w./-]*(?: [\w./-]+)*", re.ASCII)
_WORDS: Final = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])
"""What some reader of YAML 1.1 or 1.2 takes for something else than a text."""


class _Dumper(yaml.SafeDumper):
    """Writes no aliases, indents sequences, and quotes each text that a reader might mistake."""

    def ignore_aliases(self, data: Any) -> bool:
        """True: a part that occurs twice is written twice."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent one level, a sequence in a mapping, too."""
        super().increase_indent(flow, False)

    def text(self, data: str) -> yaml.ScalarNode:
        """Represent a text: plain, as a block of lines, or in double quotes."""
        is_plain = _PLAIN.fullmatch(data) and data.lower() not in _WORDS
        style = "|" if "\n" in data else None if is_plain else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Dumper.add_representer(str, _Dumper.text)


def to_yaml(objects: Iterable[Object], comment: str = "") -> str:
    """Return a stream of documents.

    Args:
        objects: objects of JSON's types only.
        comment: lines at the very beginning.
    """
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + yaml.dump_all(
        objects,
        Dumper=_Dumper,
        allow_unicode=True,
        default_flow_style=False,
        sort_keys=False,
        width=sys.maxsize,
    )
