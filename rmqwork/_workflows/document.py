"""The workflow document: what a message carries of what comes after it.

    {"id":"…","link":[…],"link_error":[…],"then":[…]}

It travels in a header, as JSON, and above `HEADER_MOST` bytes in the body, an envelope:
``{"body":…,"workflow":…}``. The header is there in both cases: with an envelope it has the
workflow's id alone. ``then`` is last, so that a step reads its first frame and passes the rest on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rmqwork._messages import headers as names
from rmqwork._workflows.splice import RawTail, dump
from rmqwork.errors import InvalidMessage

ENVELOPE: Final = "application/vnd.rmqwork.workflow+json"
"""The content type of a body that has the workflow beside it."""
HEADER_MOST: Final = 8 << 10
"""Bytes of a document that travels in a header."""
_decoder: Final = json.JSONDecoder()
_BODY: Final = '{"body":'
_WORKFLOW: Final = ',"workflow":'

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Workflow:
    """What comes after one message.

    Args:
        id: of the workflow.
        then: the frames that come after this step (`rmqwork._workflows.splice`).
        link: nodes that start with its value, and have nothing after them.
        link_error: nodes that start with its failure.
        expires_at: milliseconds since the epoch after which no step may start; None = no end.
    """

    id: str
    then: str = ""
    link: tuple[Node, ...] = ()
    link_error: tuple[Node, ...] = ()
    expires_at: int | None = None

    def dump(self) -> str:
        """The document as JSON."""
        members: dict[str, object] = {"id": self.id}
        if self.expires_at is not None:
            members["expires_at"] = self.expires_at
        if self.link:
            members["link"] = self.link
        if self.link_error:
            members["link_error"] = self.link_error
        return f'{dump(members)[:-1]},"then":[{self.then}]}}'


def read(text: str) -> Workflow:
    """The workflow of a document.

    Raises:
        ValueError: it is none.
    """
    cut = RawTail(text, "then")
    members, raw = cut.members, cut.raw.strip()
    if raw[:1] != "[" or raw[-1:] != "]":
        raise ValueError('its "then" is no array')
    expires = members.get("expires_at")
    if type(members["id"]) is not str:
        raise ValueError("its id is no text")
    return Workflow(
        members["id"],
        raw[1:-1].strip(),
        _nodes(members.get("link")),
        _nodes(members.get("link_error")),
        expires if isinstance(expires, int) else None,
    )


def _nodes(value: object) -> tuple[Node, ...]:
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(node, dict) for node in value):
        return tuple(value)
    raise ValueError("link and link_error are arrays of nodes")


def attach(
    workflow: Workflow, body: bytes, headers: dict[str, object]
) -> tuple[bytes, str, dict[str, object]]:
    """A body, content type and headers that carry a workflow."""
    text = workflow.dump()
    if len(text) <= HEADER_MOST:
        return body, "application/json", {**headers, names.WORKFLOW: text}
    envelope = b"".join(
        (_BODY.encode(), body, _WORKFLOW.encode(), text.encode(), b"}"),
    )
    return envelope, ENVELOPE, {**headers, names.WORKFLOW: workflow.id}


def detach(headers: Mapping[str, object], body: bytes) -> tuple[Workflow, bytes] | None:
    """The workflow that a message carries, and the body of its task; None: it has none.

    Raises:
        InvalidMessage: it cannot be read.
    """
    header = headers.get(names.WORKFLOW)
    if header is None:
        return None
    try:
        if not isinstance(header, str):
            raise TypeError("it is no text")
        if header.startswith("{"):
            return read(header), body
        return _unwrap(body.decode())
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidMessage(
            f"the workflow in its {names.WORKFLOW} header or its body cannot be read: {why}"
        ) from error


def _unwrap(text: str) -> tuple[Workflow, bytes]:
    if text.startswith(_BODY):
        _, end = _decoder.raw_decode(text, len(_BODY))
        if text.startswith(_WORKFLOW, end):
            return read(text[end + len(_WORKFLOW) : -1]), text[len(_BODY) : end].encode()
    values = json.loads(text)
    return read(dump(values["workflow"])), dump(values["body"]).encode()


def workflow_id(headers: Mapping[str, object]) -> str | None:
    """The id of the workflow that a message is of; None: of none, or it cannot be read."""
    header = headers.get(names.WORKFLOW)
    if not isinstance(header, str) or not header.startswith("{"):
        return header if isinstance(header, str) else None
    try:
        return read(header).id
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None
