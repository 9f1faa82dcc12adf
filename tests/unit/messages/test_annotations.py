"""What the annotation of one parameter means."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Annotated, Any

import pytest

from rmqwork._messages.annotations import resolve_hint


class Local:
    """A class of this module."""


def written(a: Local, b: Annotated[int, "more"], c: Missing, d) -> None: ...  # type: ignore[name-defined,no-untyped-def]  # noqa: F821


class Made:
    def __init__(self, a: Local) -> None: ...

    def __call__(self, b: Local) -> None: ...


def parameter(function: Any, name: str) -> inspect.Parameter:
    return inspect.signature(function).parameters[name]


def test_texts_are_read_in_the_module_of_the_function_and_extras_are_kept() -> None:
    assert resolve_hint(written, parameter(written, "a"), None) is Local
    assert resolve_hint(written, parameter(written, "b"), None) == Annotated[int, "more"]


def test_names_of_the_function_around_count_too() -> None:
    assert resolve_hint(written, parameter(written, "c"), {"Missing": Local}) is Local


def test_what_cannot_be_resolved_is_raised_unless_there_is_something_instead() -> None:
    with pytest.raises(NameError, match="Missing"):
        resolve_hint(written, parameter(written, "c"), None)
    assert resolve_hint(written, parameter(written, "c"), None, missing="?") == "?"


def test_no_annotation_is_what_was_asked_for_in_its_place() -> None:
    assert resolve_hint(written, parameter(written, "d"), None, missing=object) is object


@pytest.mark.parametrize(
    ("given", "name"),
    [(partial(written, b=1), "a"), (Made, "a"), (Made(Local()), "b")],
)
def test_classes_objects_and_partials_know_their_module(given: Any, name: str) -> None:
    assert resolve_hint(given, parameter(given, name), None) is Local
