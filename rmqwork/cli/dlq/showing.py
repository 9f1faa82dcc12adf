"""``rmqwork dlq show``: all that is known of one dead letter."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

import click

from rmqwork.cli.applications import load
from rmqwork.cli.dlq.choosing import look, queue_option
from rmqwork.cli.output import as_json_option, fields, print_json
from rmqwork.cli.text import moment, plain
from rmqwork.errors import ConfigurationError, RmqworkError

if TYPE_CHECKING:
    from rmqwork.deadletters import DeadLetter

_MOST_BYTES: Final = 2048


@click.command("show")
@click.argument("arguments", nargs=-1, metavar="[APP] ID")
@queue_option
@as_json_option
def show_letter(arguments: tuple[str, ...], queues: tuple[str, ...], as_json: bool) -> None:
    """Show a dead letter: reason, headers, body, traceback; all copies with that id.

    Reading removes nothing. With --json the body is byte for byte in "body", or in "body_base64" if
    it is no UTF-8.
    """
    if not 1 <= len(arguments) <= 2:
        raise ConfigurationError("dlq show takes [APP] ID; see rmqwork dlq show --help")
    path, task_id = (None, arguments[0]) if len(arguments) == 1 else arguments
    found: list[DeadLetter] = []
    readings = look(
        load(path), queues, lambda letter: found.append(letter) if letter.id == task_id else None
    )
    if not found:
        where = ", ".join(reading.dead_letter_queue for reading in readings)
        raise RmqworkError(
            f"there is no dead letter with id {task_id!r} in {where}; rmqwork dlq list shows them"
        )
    found.sort(key=lambda letter: letter.attempt)
    if as_json:
        from rmqwork.cli.dlq.letters import letter_to_json

        copies = [letter_to_json(letter) for letter in found]
        print_json({"id": task_id, "count": len(copies), "copies": copies})
        return
    for number, letter in enumerate(found, 1):
        if len(found) > 1:
            print(f"{'' if number == 1 else chr(10)}copy {number} of {len(found)}")
        print(story(letter))


def story(letter: DeadLetter) -> str:
    """A dead letter for people; nothing in it can steer the terminal."""
    reason = f"{letter.reason}, moved by the broker" if letter.by_broker else letter.reason
    error = ": ".join(part for part in (letter.error_type, letter.error_message) if part)
    facts = [
        ("id", letter.id),
        ("task", letter.task or "-"),
        ("reason", reason),
        ("error", error or "-"),
        ("attempt", letter.attempt),
        ("when", f"{moment(letter.at)} UTC" if letter.at else "-"),
        ("worker", letter.host or "-"),
        ("queue", letter.queue),
        ("lies in", letter.dead_letter_queue),
        ("published", f"exchange {letter.exchange!r}, routing key {letter.routing_key!r}"),
    ]
    parts = [fields(facts, ""), f"\nbody ({len(letter.body)} bytes)\n{_body(letter.body)}"]
    if letter.properties:
        parts.append(f"\nproperties\n{fields(sorted(letter.properties.items()))}")
    shown = {k: v for k, v in letter.headers.items() if not k.startswith("rmqwork-error-")}
    if shown:
        parts.append(f"\nheaders\n{fields([(plain(key), shown[key]) for key in sorted(shown)])}")
    if letter.traceback:
        parts.append(f"\ntraceback\n{_indented(plain(letter.traceback, lines=True))}")
    return "\n".join(parts)


def _body(body: bytes) -> str:
    """JSON on several lines, else text as it is, else bytes in hexadecimal digits."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return _indented(_hexdump(body))
    with contextlib.suppress(ValueError, RecursionError):  # no JSON: as it is
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return _indented(plain(text, lines=True))


def _hexdump(body: bytes) -> str:
    lines = []
    for at in range(0, min(len(body), _MOST_BYTES), 16):
        row = body[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:08x}  {row.hex(' '):<47}  {text}")
    if len(body) > _MOST_BYTES:
        lines.append(f"… {len(body) - _MOST_BYTES} bytes more; --json has all, in base64")
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
