"""Replay beside tasks that run: a step of a workflow goes on, a retried message tells its story."""

from __future__ import annotations

from tenacity import wait_fixed

from rmqwork import App, Retry
from rmqwork._messages.history import steps
from rmqwork.deadletters import DeadLetters
from rmqwork.testing.kit import memory


def test_a_step_that_is_replayed_goes_on_with_its_workflow() -> None:
    app = App("shop", queues=["q"])
    broken = [True]
    seen = []

    @app.task(retry=Retry(max_attempts=2, wait=wait_fixed(1)))
    def add(x: int, y: int) -> int:
        if broken[0]:
            raise ValueError(f"no {x}")
        return x + y

    @app.task
    def keep(value: int) -> None:
        seen.append(value)

    with memory(app) as kit:
        (add.s(1, 2) | keep.s()).delay()
        (letter,) = kit.run_all().dead_letters
        assert [step.what for step in steps(letter.headers)] == ["ValueError: no 1"]
        assert letter.attempt == 2

        broken[0] = False
        letters = DeadLetters.of(app)
        assert letters.replay().replayed == 1
        assert not kit.run_all().dead_letters
        assert seen == [3]


def test_what_fails_again_after_a_replay_tells_of_both() -> None:
    app = App("shop", queues=["q"])

    @app.task
    def fails(x: int) -> None:
        raise ValueError(x)

    with memory(app) as kit:
        fails.delay(1)
        kit.run_all()
        DeadLetters.of(app).replay()
        (letter,) = kit.run_all().dead_letters
        assert letter.headers["rmqwork-replay"] == 1
        assert letter.attempt == 1
        assert [step.what for step in steps(letter.headers)] == ["ValueError: 1", "replayed"]
        (group,) = DeadLetters.of(app).groups()
        assert group.where.endswith("in fails")
