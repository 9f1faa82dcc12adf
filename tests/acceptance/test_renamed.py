"""A roll that renames a task and changes its arguments: what old pods have sent finds its task."""

from __future__ import annotations

from typing import Any

import pytest

from rmqwork import App, Context, Retry, chord
from rmqwork.deadletters import DeadLetters
from rmqwork.types import Reason
from tests.waiting import until

Calls = list[tuple[str, object]]


def before(url: str) -> App:
    """The app as it was; it only publishes here."""
    app = App("shop", broker=url, queues=["low"])

    @app.task
    def shrink(w: int) -> int:
        raise NotImplementedError

    @app.task
    def gather(numbers: list[int]) -> int:
        raise NotImplementedError

    return app


def after(url: str, calls: Calls) -> App:
    """The app as it is now."""
    app = App("shop", broker=url, queues=["low"], unknown_task_grace=20)

    @app.task(
        version=2, aliases=["shop.shrink"], retry=Retry(max_attempts=2, wait=0.1, on=ValueError)
    )
    def scale(ctx: Context, width: int) -> int:
        calls.append((ctx.task, width))
        if width == 13 and ctx.attempt == 1:
            raise ValueError("once")
        if width == 99:
            raise KeyError("never")
        return width

    @scale.upcast(1)
    def _(fields: dict[str, Any]) -> dict[str, Any]:
        return {"width": fields["w"]}

    @app.task(name="shop.total", aliases=["shop.gather"])
    def total(numbers: list[int]) -> int:
        calls.append(("shop.total", numbers))
        return sum(numbers)

    return app


@pytest.fixture
def calls() -> Calls:
    return []


def test_what_was_sent_under_a_former_name_finds_the_task(vhost_url: str, calls: Calls):
    old, new = before(vhost_url), after(vhost_url, calls)
    shrink, gather = old.tasks["shop.shrink"], old.tasks["shop.gather"]
    with new.test_worker() as worker:
        shrink.delay(13)  # retried
        shrink.apply_async((7,), countdown=0.2)  # delayed
        chord([shrink.s(1), shrink.s(2)], gather.s()).delay()  # joined
        until(lambda: ("shop.total", [1, 2]) in calls, "the body of the chord")
        until(lambda: ("shop.scale", 7) in calls, "what was delayed")
        worker.wait_until_idle()
        ended = [run.reason for run in worker.runs]
    assert sorted(call for call in calls if call[0] == "shop.scale") == [
        ("shop.scale", width) for width in (1, 2, 7, 13, 13)
    ]
    assert not any(ended), worker.runs
    old.close()
    new.close()


def test_a_dead_letter_of_a_former_name_is_replayed(vhost_url: str, calls: Calls):
    old, new = before(vhost_url), after(vhost_url, calls)
    with new.test_worker() as worker:
        old.tasks["shop.shrink"].delay(99)
        until(lambda: [run.reason for run in worker.runs] == [Reason.FAILED], "its end")
        letters = DeadLetters.of(new)
        until(lambda: [letter.task for letter in letters.read()] == ["shop.shrink"], "the letter")
        assert letters.replay().replayed == 1
        until(lambda: len(worker.runs) == 2, "the second run")
    assert calls == [("shop.scale", 99)] * 2
    old.close()
    new.close()


def test_a_newer_version_waits_for_a_worker_that_knows_it(
    vhost_url: str, calls: Calls, caplog: Any
):
    now = after(vhost_url, calls)
    tomorrow = App("shop", broker=vhost_url, queues=["low"])

    @tomorrow.task(version=3, name="shop.scale")
    def scale(width: int, unit: str) -> int:
        calls.append((unit, width))
        return width

    with now.test_worker() as worker:
        scale.delay(5, "px")
        until(lambda: "known up to version 2, not 3" in caplog.text, "the worker to put it back")
        assert worker.runs == []
    with tomorrow.test_worker():
        until(lambda: calls == [("px", 5)], "the new worker", 30)
    now.close()
    tomorrow.close()
