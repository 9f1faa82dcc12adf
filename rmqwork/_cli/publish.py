"""``rmqwork publish``: publish a task, or a file of them."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rmqwork._cli.applications import load
from rmqwork._cli.checks import COUNT, SECONDS
from rmqwork._cli.output import as_json_option, note, print_json
from rmqwork.errors import ConfigurationError, InvalidMessage, PublishError

if TYPE_CHECKING:
    from rmqwork._tasks.app import App

_BATCH_SIZE: Final = 1000
_DURATION: Final = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>s|m|h|d)?")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BODY_STARTS: Final = ("{", "@", "[")


@click.command
@click.argument("arguments", nargs=-1, metavar="[APP] TASK [JSON|@FILE|-]")
@click.option("--queue", metavar="NAME", help="Instead of the task's route.")
@click.option("--countdown", metavar="TIME", help="Run after this: 90, 90s, 5m, 2h, 1d.")
@click.option("--eta", metavar="ISO", help="Run at this moment: 2030-01-31T08:00:00+01:00.")
@click.option(
    "--expires", metavar="TIME|ISO", help="Do not start after this: 10m from now, or a moment."
)
@click.option("--priority", type=click.IntRange(0, 255), metavar="N", help="0 to 255.")
@click.option("--task-id", metavar="ID", help="Instead of a new one.")
@click.option("--header", "headers", multiple=True, metavar="KEY=VALUE", help="May be repeated.")
@click.option(
    "--timeout", type=SECONDS, metavar="SECONDS", help="How long to wait for the broker's confirm."
)
@click.option("--count", type=COUNT, metavar="N", default=1, help="Publish it so many times.")
@click.option("--lines", is_flag=True, help="Each line of the input is one message.")
@as_json_option
def publish(
    arguments: tuple[str, ...], count: int, lines: bool, as_json: bool, **given: Any
) -> None:
    """Publish a task; prints its id when the broker has confirmed it.

    The fields are checked against the task's message if the app knows the task. With --lines many
    are published from JSON lines; what is printed is published, also if a later one fails.

    \b
    Examples:
      rmqwork publish shop.app:app images.resize '{"url": "https://…", "width": 64}'
      rmqwork publish shop.app:app images.resize @message.json --countdown 5m
      rmqwork publish shop.app:app images.resize --lines - < images.jsonl
    """
    path, task, source = _positional(arguments)
    options = _options(given)
    if given["task_id"] is not None and (lines or count > 1):
        raise ConfigurationError("--task-id is for one message; leave out --count or --lines")
    if lines and source is None:
        source = "-"
    app = load(path)
    if task not in app.tasks:
        note(f"the app does not know task {task!r}: published as it is, without a check")
    messages = _repeated(_checked(app, task, _bodies(source, lines)), count)
    with _closing(app):
        asyncio.run(_publish_all(app, task, messages, options, as_json))


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the call, as the publishing verbs of an app take them."""
    countdown, eta, expires = given["countdown"], given["eta"], given["expires"]
    return {
        **given,
        "countdown": None if countdown is None else seconds(countdown, "--countdown"),
        "eta": None if eta is None else instant(eta, "--eta"),
        "expires": None if expires is None else _expiry(expires),
        "headers": _headers(given["headers"]),
    }


def _positional(arguments: Sequence[str]) -> tuple[str | None, str, str | None]:
    """APP (or None), TASK and the source of the fields (or None)."""
    if not 1 <= len(arguments) <= 3:
        raise ConfigurationError(
            "publish takes [APP] TASK [JSON|@FILE|-]; see rmqwork publish --help"
        )
    if len(arguments) == 3:
        return arguments[0], arguments[1], arguments[2]
    if len(arguments) == 1:
        return None, arguments[0], None
    first, second = arguments
    if second == "-" or second.lstrip().startswith(_BODY_STARTS):
        return None, first, second
    return first, second, None


def seconds(text: str, option: str) -> float:
    """A duration: ``90``, ``90s``, ``5m``, ``2h`` or ``1d``.

    Raises:
        ConfigurationError: it is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"{option} {text!r} is no duration; write 90, 90s, 5m, 2h or 1d")
    return float(match["number"]) * _UNITS[match["unit"] or "s"]


def instant(text: str, option: str) -> datetime:
    """A moment in ISO 8601, with its time zone.

    Raises:
        ConfigurationError: it is none, or has no time zone.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(
            f"{option} {text!r} is no moment; write it like 2030-01-31T08:00:00Z"
        ) from None
    if moment.utcoffset() is None:
        raise ConfigurationError(f"{option} {text!r} has no time zone; add Z or +01:00 to it")
    return moment


def _expiry(text: str) -> timedelta | datetime:
    if _DURATION.fullmatch(text.strip()):
        return timedelta(seconds=seconds(text, "--expires"))
    return instant(text, "--expires")


def _headers(given: Sequence[str]) -> dict[str, str]:
    headers = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"--header {item!r}: write it as KEY=VALUE")
        headers[key] = value
    return headers


# ── the messages ──────────────────────────────────────────────────────────────────────────────

Message = tuple[str, dict[str, Any]]
"""Where it comes from, for an error's text, and its fields."""


def _bodies(source: str | None, lines: bool) -> Iterator[Message]:
    if source is None:
        yield "the message", {}
    elif source == "-":
        yield from _read(sys.stdin, "stdin", lines)
    elif source.startswith("@"):
        with Path(source[1:]).open(encoding="utf-8") as file:
            yield from _read(file, source[1:], lines)
    else:
        yield from _read(source.splitlines(keepends=True), "the argument", lines)


def _read(source: Iterable[str], name: str, lines: bool) -> Iterator[Message]:
    try:
        if not lines:
            yield name, _fields("".join(source), name)
            return
        for number, line in enumerate(source, 1):
            if line.strip():
                where = f"{name}, line {number}"
                yield where, _fields(line, where)
    except UnicodeDecodeError as error:
        raise InvalidMessage(f"{name} is not UTF-8: {error.reason}") from None


def _fields(text: str, where: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"{where} is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidMessage(
            f"{where} is a JSON {type(fields).__name__}; a message is an object of its "
            'fields, such as {"x": 2, "y": 2}'
        )
    return fields


def _repeated(messages: Iterable[Message], count: int) -> Iterator[Message]:
    for message in messages:
        for _ in range(count):
            yield message


def _checked(app: App, task: str, messages: Iterable[Message]) -> Iterator[Message]:
    """The messages up to the first that the task's message would refuse."""
    known = app.tasks.get(task)
    for where, fields in messages:
        if known is not None:
            try:
                known.encode_fields(fields)
            except InvalidMessage as error:
                raise InvalidMessage(f"{where}: {error}") from None
        yield where, fields


async def _publish_all(
    app: App, task: str, messages: Iterator[Message], options: dict[str, Any], as_json: bool
) -> None:
    """So many at once; what was confirmed is printed before an error is raised."""
    published = 0
    problem: BaseException | None = None
    while problem is None:
        chunk: list[Message] = []
        try:
            for message in islice(messages, _BATCH_SIZE):
                chunk.append(message)  # noqa: PERF402 - those before an error count
        except InvalidMessage as error:
            problem = error
        if not chunk:
            break
        results = await asyncio.gather(
            *(app.asend_task(task, fields, **options) for _, fields in chunk),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                problem = problem or result
                continue
            published += 1
            print_json({"id": result.id, "task": task}) if as_json else print(result.id)
    if problem is not None:
        if published:
            note(f"{published} published, see their ids; then:")
        raise problem


@contextmanager
def _closing(app: App) -> Iterator[None]:
    try:
        yield
    finally:
        left = app.close()
        if left:
            raise PublishError(f"{left} messages were not confirmed; they may have arrived")
