"""Records are made where a task has ended, if somebody wants them."""

from __future__ import annotations

from rmqwork._results import record
from rmqwork._results.values import Values
from rmqwork._results.writing import ResultEncoder


def test_what_cannot_be_kept_is_a_failure_of_the_answer():
    answers = ResultEncoder("t", lambda: Values("task 't'", int), 40)
    assert record.read(answers.record(3)).state == "SUCCESS"
    for value, kind in ((object(), "ResultNotEncoded"), (10**30, "ResultTooLarge")):
        lost = record.read(answers.record(value))
        assert (lost.state, lost.reason, lost.evidence.type) == ("FAILURE", "result-lost", kind)


def test_a_runner_makes_a_record_only_when_it_is_wanted(app, delivery):
    @app.task
    def add(x: int) -> int:
        return x + 1

    runner = app.runner()
    for extras, result in (
        (None, None),
        ({"timestamp": 1}, None),
        ({"reply": True}, b'{"state":"SUCCESS","result":4}'),
    ):
        prepared = runner.prepare(delivery("shop.add", b'{"x":3}', extras=extras))
        assert runner.run(prepared).result == result
