"""Log levels that operators change."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from rmqwork._control.wire import Command, CommandRefused
from rmqwork._worker.control.log_levels import LogLevels

NAME = "rmqwork.test.levels"


class FakeExecutor:
    """An executor that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def log_level(self, logger: str, level: int) -> None:
        self.told.append((logger, level))


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger(NAME)
    yield logger
    logger.setLevel(logging.NOTSET)


def test_it_holds_here_in_the_executors_and_in_those_to_come(logger: logging.Logger) -> None:
    old, new = FakeExecutor(), FakeExecutor()
    there: list[Any] = [old]
    levels = LogLevels(lambda: there)

    answer = levels.tell(Command("log-level", {"level": "debug", "logger": NAME}))
    levels.greet(new)  # type: ignore[arg-type]

    assert answer == {"level": "DEBUG", "logger": NAME}
    assert logger.level == logging.DEBUG
    assert old.told == new.told == [(NAME, logging.DEBUG)]


def test_a_new_executor_is_told_the_last_word_about_each_logger(logger: logging.Logger) -> None:
    levels = LogLevels(list)
    for level in ("debug", "error"):
        levels.tell(Command("log-level", {"level": level, "logger": NAME}))
    new = FakeExecutor()

    levels.greet(new)  # type: ignore[arg-type]

    assert new.told == [(NAME, logging.ERROR)]


@pytest.mark.parametrize("level", ["loud", "", None])
def test_a_level_that_there_is_not_is_refused_and_changes_nothing(
    level: object, logger: logging.Logger
) -> None:
    levels, new = LogLevels(list), FakeExecutor()
    with pytest.raises(CommandRefused, match="use debug, info, warning or error"):
        levels.tell(Command("log-level", {"level": level, "logger": NAME}))

    levels.greet(new)  # type: ignore[arg-type]
    assert (logger.level, new.told) == (logging.NOTSET, [])
