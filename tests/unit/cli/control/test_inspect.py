"""``rmqwork inspect``: what its arguments mean."""

from __future__ import annotations

import pytest

from rmqwork._cli.control.inspect import _split
from rmqwork.errors import ConfigurationError


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), (None, "workers", None)),
        (("shop:app", "tasks"), ("shop:app", "tasks", None)),
        (("workflow", "wf"), (None, "workers", "wf")),
        (("shop:app", "workflow", "tasks"), ("shop:app", "workers", "tasks")),
    ],
)
def test_the_arguments(arguments: tuple[str, ...], found: object) -> None:
    assert _split(arguments) == found


@pytest.mark.parametrize("arguments", [("a", "b"), ("shop:app", "workflow"), ("workflow",)])
def test_other_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="workflow ID"):
        _split(arguments)
