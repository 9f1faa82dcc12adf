from __future__ import annotations

import pytest

from rmqwork.evidence import evidence_of, type_name


class Inner(Exception):
    pass


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("mute")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_types_are_qualified_unless_builtin():
    assert type_name(ValueError) == "ValueError"
    assert type_name(Inner).endswith("test_evidence.Inner")


def test_an_exception_that_cannot_say_its_text():
    evidence = evidence_of(raised(Mute()))

    assert evidence.message == "(its text cannot be had: RuntimeError)"
    assert "raise error" in evidence.traceback


@pytest.mark.parametrize("text", ["x" * 100_000, "\ud800" * 10])
def test_what_is_too_long_or_no_text_is_made_to_travel(text):
    evidence = evidence_of(raised(ValueError(text)))

    assert len(evidence.message.encode()) < 10_000
    assert len(evidence.traceback.encode()) < 60_000
    assert evidence.traceback.startswith("Traceback")


def test_a_deep_recursion_is_short():
    def deep(n: int) -> int:
        return deep(n + 1) + 1

    try:
        deep(0)
    except RecursionError as error:
        evidence = evidence_of(error)

    assert evidence.type == "RecursionError"
    assert len(evidence.traceback) < 17_000


def test_causes_are_told():
    try:
        try:
            raise Inner("first")
        except Inner as error:
            raise ValueError("second") from error
    except ValueError as error:
        evidence = evidence_of(error)

    assert "Inner: first" in evidence.traceback
    assert "direct cause" in evidence.traceback
