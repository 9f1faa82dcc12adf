"""From an error to one line on stderr and an exit code."""

from __future__ import annotations

import re
import sys
import traceback
from typing import Final

from rmqwork._cli.exit_codes import FAILED, NO_BROKER, WRONG
from rmqwork._cli.text import plain
from rmqwork._config import celery_names
from rmqwork.errors import BrokerUnavailable, ConfigurationError, RmqworkError

_NO_COMMAND: Final = re.compile(r"No such command '([^']*)'")
_FRAME: Final = re.compile(r'^\s*File "(?P<file>.*)", line (?P<line>\d+)', re.MULTILINE)


def report(error: Exception, debug: bool) -> int:
    """Print an error in one line, with ``debug`` after its traceback; returns the exit code."""
    if debug:
        print(plain(_whole_story(error), lines=True), file=sys.stderr)
    print(f"rmqwork: error: {one_line(error)}", file=sys.stderr, flush=True)
    return exit_code(error)


def exit_code(error: Exception) -> int:
    """2 for bad configuration or usage, 4 for a broker that cannot be reached, else 1."""
    if isinstance(error, ConfigurationError):
        return WRONG
    if isinstance(error, BrokerUnavailable):
        return NO_BROKER
    code = getattr(error, "exit_code", FAILED)  # click's usage errors
    return code if isinstance(code, int) else FAILED


def one_line(error: Exception) -> str:
    """What an error says, in one line that is safe to print."""
    format_message = getattr(error, "format_message", None)
    if format_message is not None:  # click's usage errors
        text = str(format_message()).rstrip(".")
        word = getattr(error, "option_name", None) or _word_of(text)
        text += celery_names.of_command(word)
        context = getattr(error, "ctx", None)
        path = getattr(context, "command_path", "rmqwork")
        return plain(_joined(f"{text}; see {path} --help"))
    if isinstance(error, RmqworkError):
        return plain(_joined(_without_traceback(str(error))))
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return plain(_joined(f"{where}{error.strerror}"))
    return plain(
        f"unexpected {type(error).__name__}: {_joined(str(error))}; --debug shows the traceback"
    )


def _word_of(text: str) -> str:
    """The command that click says there is not; empty: it says something else."""
    found = _NO_COMMAND.match(text)
    return "" if found is None else found[1]


def _joined(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(
        line if index == 0 else f" {line}" if lines[index - 1].endswith(":") else f"; {line}"
        for index, line in enumerate(lines)
    )


def _without_traceback(text: str) -> str:
    """A text with a traceback in it, as its last line and its place."""
    start = text.find("Traceback (most recent call last)")
    if start < 0:
        return text
    head, story = text[:start].rstrip(), text[start:].strip()
    last = story.splitlines()[-1].strip()
    if head and not head.endswith(":"):  # it says all, with the user's own line
        return f"{head}; --debug shows the traceback"
    frames = list(_FRAME.finditer(story))
    place = f" ({frames[-1]['file']}, line {frames[-1]['line']})" if frames else ""
    return f"{head}\n{last}{place}; --debug shows the traceback"


def _whole_story(error: Exception) -> str:
    details = getattr(error, "details", "")
    if details:
        return str(details)
    return "".join(traceback.format_exception(error)).rstrip()
