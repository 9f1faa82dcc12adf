"""The body of a dead letter as its task is to read it: decompressed, without its workflow."""

from __future__ import annotations

from rmqwork._messages.codec import JSON, plain_body
from rmqwork._messages.dead_letter import DeadLetter
from rmqwork._workflows.document import ENVELOPE, detach


def in_envelope(letter: DeadLetter) -> bool:
    """Whether a letter's workflow travels in its body."""
    return letter.properties.get("content_type") == ENVELOPE


def task_body(letter: DeadLetter) -> bytes:
    """The bytes that the task's message is read from.

    Raises:
        InvalidMessage: nobody can read it: its encoding or type is unknown, or it is damaged.
    """
    body, kind = letter.body, letter.properties.get("content_type")
    if in_envelope(letter):
        found = detach(letter.headers, body)
        body, kind = (body if found is None else found[1]), JSON
    encoding = letter.properties.get("content_encoding")
    return plain_body(
        body,
        kind if isinstance(kind, str) else None,
        encoding if isinstance(encoding, str) else None,
    )
