from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import rmqwork
from rmqwork import App
from rmqwork._cli.demo import app as demo
from rmqwork._executor.entered_lifespan import EnteredLifespan
from rmqwork._executor.loop_runner import LoopRunner
from rmqwork._tasks.evidence import (
    evidence_of,
    is_ours,
    type_name,
    user_traceback,
    users_part,
)
from rmqwork._tasks.loading import split_path
from rmqwork.errors import ConfigurationError


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


def files_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("  File ")]


def test_all_of_rmqwork_is_ours_and_nothing_else():
    package = Path(rmqwork.__file__).parent

    example = Path(demo.__file__).parent

    for module in package.rglob("*.py"):
        assert is_ours(str(module)) is (example not in module.parents), module
    assert not is_ours(str(package.with_name("rmqwork_shop") / "app.py"))
    assert not is_ours(__file__)


@pytest.mark.parametrize("is_async", [False, True])
def test_the_traceback_of_a_task_has_no_frame_of_ours(app, delivery, is_async):
    if is_async:

        @app.task(name="app.fail")
        async def afail() -> None:
            {}["x"]
    else:

        @app.task(name="app.fail")
        def fail() -> None:
            {}["x"]

    runner = app.runner(None)
    prepared = runner.prepare(delivery("app.fail", b"{}"))
    outcome = asyncio.run(runner.arun(prepared)) if is_async else runner.run(prepared)

    [frame] = files_in(outcome.evidence.traceback)
    assert __file__ in frame


def test_the_traceback_of_a_lifespan_has_no_frame_of_ours():
    app = App("app")

    @app.lifespan
    async def broken() -> AsyncIterator[None]:
        {}["x"]
        yield

    loop = asyncio.new_event_loop()
    loops = LoopRunner(loop, on_exit=lambda error: None)
    try:
        with pytest.raises(KeyError) as caught:
            EnteredLifespan(app.open_lifespan(), loops, lambda error: None).enter()
    finally:
        loop.close()

    called = caught.value.__traceback__
    assert called is not None
    caught.value.__traceback__ = called.tb_next  # without this test's own frame
    [frame] = files_in(user_traceback(caught.value))
    assert __file__ in frame


def test_the_traceback_of_an_error_of_ours_is_whole():
    with pytest.raises(ConfigurationError) as caught:
        split_path("no path")

    called = caught.value.__traceback__
    assert called is not None
    caught.value.__traceback__ = called.tb_next
    assert users_part(called.tb_next) is None
    assert files_in(user_traceback(caught.value)) != []
