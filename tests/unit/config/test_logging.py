"""One line an event, for people or for machines."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from rmqwork._config.logging import (
    FIELDS,
    FieldsAdapter,
    HumanFormatter,
    JsonFormatter,
    configure,
    fields_of,
)
from rmqwork.errors import ConfigurationError


@pytest.fixture(autouse=True)
def root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def record(message: str = "task done", level: int = logging.INFO, **fields: object):
    made = logging.LogRecord("rmqwork.worker", level, __file__, 1, message, None, None)
    setattr(made, FIELDS, fields)
    return made


def failed() -> logging.LogRecord:
    made = record("broken", logging.ERROR)
    try:
        raise ValueError("no\nnewline")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_json_is_one_object_a_line():
    line = JsonFormatter().format(record("done ü", task="a.b", attempt=2, duration=0.5))

    assert "\n" not in line
    got = json.loads(line)
    at = datetime.fromisoformat(got.pop("at"))
    assert abs(datetime.now(at.tzinfo) - at) < timedelta(seconds=5)
    assert got == {
        "level": "info",
        "logger": "rmqwork.worker",
        "event": "done ü",
        "task": "a.b",
        "attempt": 2,
        "duration": 0.5,
    }
    assert "ü" in line


def test_json_takes_what_is_no_json():
    got = json.loads(JsonFormatter().format(record(what={1, 2}, who=ValueError("x"))))

    assert got["what"] == "{1, 2}"
    assert got["who"] == "x"


def test_json_is_valid_and_complete_whatever_is_logged():
    circle: list[object] = []
    circle.append(circle)
    made = record(attempt=2, share=float("nan"), keys={(1, 2): 3}, circle=circle, fine=0.5)
    got = json.loads(JsonFormatter().format(made), parse_constant=pytest.fail)

    assert got["event"] == "task done"
    assert got["attempt"] == 2
    assert got["share"] == "nan"
    assert got["keys"] == "{(1, 2): 3}"


def test_json_holds_the_traceback():
    line = JsonFormatter().format(failed())

    assert "\n" not in line
    assert "ValueError: no" in json.loads(line)["traceback"]


def test_human_lines_have_the_time_the_event_and_its_fields():
    line = HumanFormatter(colors=False).format(record(task="a.b", attempt=2))

    at, rest = line.split(" ", 1)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", at)
    assert rest == "task done  task=a.b  attempt=2"


def test_human_lines_name_the_level_when_it_matters():
    formatter = HumanFormatter(colors=False)

    assert " WARNING careful" in formatter.format(record("careful", logging.WARNING))
    assert " ERROR broken" in formatter.format(record("broken", logging.ERROR))
    assert "INFO" not in formatter.format(record())


def test_colours_only_where_they_are_asked_for():
    assert "\x1b[" in HumanFormatter(colors=True).format(record("x", logging.ERROR, task="t"))
    assert "\x1b[" not in HumanFormatter(colors=False).format(record("x", logging.ERROR, task="t"))


@pytest.mark.parametrize("colors", [True, False])
def test_a_terminal_obeys_nothing_that_a_message_holds(colors: bool):
    evil = "\x1b[2Jgone\r\nERROR forged\x07\u202e"

    line = HumanFormatter(colors).format(record(evil, task=evil))

    assert "\x1b[2J" not in line
    assert not {"\r", "\n", "\x07", "\u202e"} & set(line)
    assert "gone" in line
    assert "\\x1b[2J" in line


def test_human_lines_end_with_the_traceback():
    assert HumanFormatter(False).format(failed()).splitlines()[1].startswith("Traceback")


def test_a_traceback_of_another_process_is_told_line_by_line():
    made = record("died", logging.ERROR, pid=7, traceback="Traceback:\n  File \x1b[2J\nValueError")

    lines = HumanFormatter(False).format(made).splitlines()

    assert lines[0].endswith("ERROR died  pid=7")
    assert lines[1:] == ["Traceback:", r"  File \x1b[2J", "ValueError"]
    assert json.loads(JsonFormatter().format(made))["traceback"].endswith("ValueError")


def test_a_record_without_fields_has_none():
    made = logging.LogRecord("x", logging.INFO, __file__, 1, "m %s", ("a",), None)

    assert fields_of(made) == {}
    assert json.loads(JsonFormatter().format(made))["event"] == "m a"
    setattr(made, FIELDS, "given as extra=")
    assert fields_of(made) == {FIELDS: "given as extra="}


@pytest.mark.parametrize(
    ("log_format", "machine"), [("json", True), ("human", False), (None, True)]
)
def test_configure_sends_all_to_stderr(
    log_format: str | None, machine: bool, capsys: pytest.CaptureFixture[str]
):
    configure(log_format, "warning")

    logging.getLogger("some.library").warning("one")
    logging.getLogger("some.library").info("too quiet")

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("{") is machine
    assert "one" in err


def test_configure_twice_says_nothing_twice(capsys: pytest.CaptureFixture[str]):
    configure("human", "INFO")
    configure("human", "info")

    logging.getLogger("x").info("once")

    assert capsys.readouterr().err.count("once") == 1


@pytest.mark.parametrize(("log_format", "level"), [("xml", "info"), ("json", "loud"), ("", "info")])
def test_what_is_unknown_is_an_error(log_format: str, level: str):
    with pytest.raises(ConfigurationError):
        configure(log_format, level)


NAMES = [
    "at",
    "level",
    "logger",
    "event",
    "traceback",
    "task_id",
    "extra_event",
    "rmqwork",
    "amount",
]


@pytest.mark.parametrize("by_adapter", [False, True])
def test_no_field_takes_the_place_of_another(caplog, by_adapter):
    names = [*NAMES, "name", "message", "args", "asctime", "exc_info"] if by_adapter else NAMES
    logger = logging.getLogger("shop")
    ours = {"task_id": "mine", "attempt": 1}
    with caplog.at_level(logging.INFO, "shop"):
        given = {name: f"given {name}" for name in names}
        if by_adapter:
            FieldsAdapter(logger, ours).info("paid", extra=given)
        else:
            logger.info("paid", extra=given)
    [made] = caplog.records

    line = json.loads(JsonFormatter().format(made))
    assert (line["event"], line["level"], line["logger"]) == ("paid", "info", "shop")
    assert line["task_id"] == ("mine" if by_adapter else "given task_id")
    assert set(given.values()) <= set(line.values())
    human = HumanFormatter(colors=False).format(made)
    assert all(f"=given {name}" in human for name in names)
