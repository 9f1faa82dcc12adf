"""The app's own set-up of logging holds."""

from __future__ import annotations

import io
import logging
import logging.config
from collections.abc import Iterator

import pytest

from rmqwork._executor import app_logging


@pytest.fixture(autouse=True)
def configured() -> Iterator[logging.Logger]:
    root, basic_config = logging.getLogger(), logging.basicConfig
    handlers, level = list(root.handlers), root.level
    app_logging.configure("json", "info")
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.basicConfig = basic_config


def without_pytests(root: logging.Logger) -> logging.Logger:
    """Take off the handlers that pytest has put on for the test."""
    ours = [one for one in root.handlers if not type(one).__module__.startswith("_pytest")]
    root.handlers[:] = ours
    return root


class Other(logging.Handler):
    """Somebody else's."""


def test_a_basic_config_takes_the_place_of_ours(configured: logging.Logger) -> None:
    without_pytests(configured)
    out = io.StringIO()
    logging.basicConfig(level=logging.DEBUG, stream=out, format="mine %(message)s")
    logging.getLogger("shop").debug("details")

    assert out.getvalue() == "mine details\n"
    assert len(configured.handlers) == 1


def test_the_second_one_does_nothing_as_ever(configured: logging.Logger) -> None:
    without_pytests(configured)
    logging.basicConfig(level=logging.DEBUG)
    first = list(configured.handlers)
    logging.basicConfig(level=logging.ERROR)

    assert configured.handlers == first
    assert configured.level == logging.DEBUG


def test_one_that_is_wrong_leaves_ours(configured: logging.Logger) -> None:
    without_pytests(configured)
    ours = list(configured.handlers)
    with pytest.raises(ValueError):
        logging.basicConfig(style="?")

    assert configured.handlers == ours


def test_a_handler_that_is_added_stands_beside_ours(configured: logging.Logger) -> None:
    without_pytests(configured)
    ours, other = list(configured.handlers), Other()
    configured.addHandler(other)
    logging.basicConfig(level=logging.DEBUG)

    assert configured.handlers == [*ours, other]
    assert configured.level == logging.INFO


def test_our_loggers_speak_after_a_dict_config(configured: logging.Logger) -> None:
    without_pytests(configured)
    ours, theirs = logging.getLogger("rmqwork.task"), logging.getLogger("rmqworker")
    logging.config.dictConfig({"version": 1, "root": {"level": "DEBUG"}})
    assert ours.disabled
    app_logging.enable_ours()

    assert not ours.disabled
    assert theirs.disabled
    theirs.disabled = False
    assert configured.level == logging.DEBUG
