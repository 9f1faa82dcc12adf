"""Workflows that run where they are published."""

from __future__ import annotations

import pytest

from rmqwork import App, Context, FailedTask, TaskFailed, chain, chord, group
from rmqwork.testing._eager import eager

app = App("eager")
seen: list[object] = []


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
def note(what: int) -> None:
    seen.append(what)


@app.task
def fails(x: int) -> int:
    raise ValueError(f"no {x}")


@app.task
def on_error(failed: FailedTask) -> None:
    seen.append(failed.message)


@app.task
def fan_out(ctx: Context, n: int) -> int:
    return ctx.replace(group(add.s(k, 1) for k in range(n)) | total.s())


@pytest.fixture(autouse=True)
def nothing_seen():
    seen.clear()


def test_each_step_runs_with_the_value_before_it():
    with eager(app) as ran:
        (add.s(2, 2) | add.s(4) | note.s()).delay()
        chain(add.s(0, 1), *(add.s(1) for _ in range(200)), note.s()).delay()
        add.s(1, 1).link(note.s()).delay()
        (chord([add.s(1, 1), add.s(2, 2) | add.s(3)], total.s()) | note.s()).delay()
        (group(group(add.s(1, 1)) | total.s(), fan_out.s(3)) | total.s() | note.s()).delay()
        fan_out.delay(2)
    assert seen == [8, 201, 2, 9, 8]
    assert ran.runs[-1].task == "eager.total"


def test_a_failure_ends_the_workflow_and_is_told_once():
    with eager(app):
        work = group(add.s(1, 1), fails.s(1), fails.s(2)) | total.s() | note.s()
        with pytest.raises(TaskFailed, match="no 1"):
            work.link_error(on_error.s()).delay()
    assert seen == ["no 1"]
