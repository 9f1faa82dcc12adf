"""``rmqwork dlq show``: all that is known of one dead letter."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from rmqwork._cli.applications import load
from rmqwork._cli.dlq.choosing import look, queue_option
from rmqwork._cli.dlq.nothing import NoSuchLetter
from rmqwork._cli.output import as_json_option, fields, print_json
from rmqwork._cli.text import moment, plain
from rmqwork.errors import ConfigurationError, InvalidMessage

if TYPE_CHECKING:
    from rmqwork._messages.dead_letter import DeadLetter
    from rmqwork._messages.history import AttemptRecord
    from rmqwork._tasks.app import App

_MAX_BYTES: Final = 2048


@click.command("show")
@click.argument("arguments", nargs=-1, metavar="[APP] ID")
@queue_option
@as_json_option
def show_letter(arguments: tuple[str, ...], queues: tuple[str, ...], as_json: bool) -> None:
    """Show a dead letter: reason, headers, body, traceback, its attempts; all copies with that id.

    Reading removes nothing. With --json the body is byte for byte in "body", or in "body_base64" if
    it is no UTF-8.
    """
    if not 1 <= len(arguments) <= 2:
        raise ConfigurationError("dlq show takes [APP] ID; see rmqwork dlq show --help")
    path, task_id = (None, arguments[0]) if len(arguments) == 1 else arguments
    found = letters_of(load(path), task_id, queues)
    if as_json:
        from rmqwork._cli.dlq.letters import letter_to_json

        copies = [letter_to_json(letter) for letter in found]
        print_json({"id": task_id, "count": len(copies), "copies": copies})
        return
    for number, letter in enumerate(found, 1):
        if len(found) > 1:
            print(f"{'' if number == 1 else chr(10)}copy {number} of {len(found)}")
        print(story(letter))


def letters_of(app: App, task_id: str, queues: Sequence[str]) -> list[DeadLetter]:
    """All dead letters with an id, by their attempts.

    Raises:
        NoSuchLetter: there is none.
    """
    from rmqwork._admin.deadletters.selection import Selection

    found: list[DeadLetter] = []
    readings = look(app, queues, found.append, Selection(ids=[task_id]))
    if not found:
        where = ", ".join(reading.dead_letter_queue for reading in readings)
        raise NoSuchLetter(
            f"there is no dead letter with id {task_id!r} in {where}; rmqwork dlq list shows them"
        )
    return sorted(found, key=lambda letter: letter.attempt)


def story(letter: DeadLetter) -> str:
    """A dead letter for people; nothing in it can steer the terminal."""
    from rmqwork._admin.deadletters.groups import group_of
    from rmqwork._admin.deadletters.replay_message import last_failure, replays_of
    from rmqwork._messages.history import HISTORY, steps

    reason = f"{letter.reason}, moved by the broker" if letter.by_broker else letter.reason
    error = ": ".join(part for part in (letter.error_type, letter.error_message) if part)
    facts = [
        ("id", letter.id),
        ("task", letter.task or "-"),
        ("reason", reason),
        ("error", error or "-"),
        ("group", group_of(letter).id),
        ("attempt", letter.attempt),
        ("replayed", f"{times}×" if (times := replays_of(letter)) else "never"),
        ("when", f"{moment(letter.at)} UTC" if letter.at else "-"),
        ("worker", letter.host or "-"),
        ("queue", letter.queue),
        ("lies in", letter.dead_letter_queue),
        ("published", f"exchange {letter.exchange!r}, routing key {letter.routing_key!r}"),
    ]
    parts = [fields(facts, ""), f"\nbody ({len(letter.body)} bytes)\n{_body(_readable(letter))}"]
    if letter.properties:
        parts.append(f"\nproperties\n{fields(sorted(letter.properties.items()))}")
    shown = {
        k: v
        for k, v in letter.headers.items()
        if not k.startswith("rmqwork-error-") and k != HISTORY
    }
    if shown:
        parts.append(f"\nheaders\n{fields([(plain(key), shown[key]) for key in sorted(shown)])}")
    if before := steps(letter.headers):
        history = [*before, last_failure(letter)]
        parts.append(f"\nhistory\n{_indented(_history(history))}")
    if letter.traceback:
        parts.append(f"\ntraceback\n{_indented(plain(letter.traceback, lines=True))}")
    return "\n".join(parts)


def _history(history: Sequence[AttemptRecord]) -> str:
    lines = [
        f"{step.at:<24}  {f'attempt {step.attempt}' if step.attempt else '':<10}  "
        f"{step.host or '-'}  {step.what}"
        for step in history
    ]
    return "\n".join(plain(line) for line in lines)


def _readable(letter: DeadLetter) -> bytes:
    """The body, decompressed if it is compressed and that can be done."""
    from rmqwork._admin.deadletters.bodies import in_envelope, task_body

    if in_envelope(letter):
        return letter.body
    with contextlib.suppress(InvalidMessage):
        return task_body(letter)
    return letter.body


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
    for at in range(0, min(len(body), _MAX_BYTES), 16):
        row = body[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:08x}  {row.hex(' '):<47}  {text}")
    if len(body) > _MAX_BYTES:
        lines.append(f"… {len(body) - _MAX_BYTES} bytes more; --json has all, in base64")
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
