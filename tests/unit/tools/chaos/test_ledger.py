"""The verdict over a ledger, from lines as they would be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.chaos.blame import UNEXPLAINED
from tools.chaos.ledger import LedgerWriter, Line, judge, pending, read


def lines(*rows: tuple[float, str, str, str, int, str]) -> list[Line]:
    return [Line(*row) for row in rows]


def published(task_id: str, at: float = 1.0, fate: str = "done") -> list[Line]:
    return lines(
        (at, "p1.1", "attempt", task_id, 0, fate), (at + 0.1, "p1.1", "confirm", task_id, 0, "")
    )


def ran(task_id: str, at: float, who: str = "w1.1/10", attempt: int = 1) -> list[Line]:
    return lines(
        (at, who, "start", task_id, attempt, ""), (at + 0.1, who, "end", task_id, attempt, "")
    )


def test_a_message_that_ran_is_executed() -> None:
    verdict = judge([*published("a"), *ran("a", 2.0)])
    assert verdict.good
    assert verdict.executed == verdict.acknowledged == verdict.attempted == {"a"}
    assert not verdict.duplicated


def test_a_confirmed_message_in_no_place_is_lost() -> None:
    verdict = judge([*published("a"), Line(2.0, "w1.1/10", "start", "a", 1)])
    assert not verdict.good
    assert verdict.lost == {"a"}


def test_a_confirmed_message_that_still_waits_is_stranded_and_not_lost() -> None:
    verdict = judge([*published("a"), Line(9.0, "nemesis", "left", "a", 0, "q")])
    assert not verdict.good
    assert verdict.stranded == {"a"}
    assert not verdict.lost


def test_what_nobody_published_is_unexpected() -> None:
    assert judge(ran("a", 2.0)).unexpected == {"a"}


@pytest.mark.parametrize(
    ("may_have_arrived", "unexpected", "recovered"), [(0, {"a"}, {"a"}), (1, set(), {"a"})]
)
def test_a_refused_message_that_ran(
    may_have_arrived: int, unexpected: set[str], recovered: set[str]
) -> None:
    attempt = Line(1.0, "p1.1", "attempt", "a", 0, "done")
    refused = Line(1.1, "p1.1", "refuse", "a", may_have_arrived, "no broker")
    verdict = judge([attempt, refused, *ran("a", 2.0)])
    assert verdict.unexpected == unexpected
    assert verdict.recovered == recovered


def test_a_dead_letter_that_never_ran_breaks_the_promise_unless_it_was_refused() -> None:
    failed = Line(2.0, "nemesis", "dead", "a", 1, "failed: no")
    expired = Line(2.0, "nemesis", "dead", "b", 1, "expired: too late")
    verdict = judge([*published("a", fate="dead"), *published("b", fate="dead"), failed, expired])
    assert verdict.never_run == {"a"}
    assert not verdict.good


def test_a_second_end_is_explained_by_a_fault_of_its_worker() -> None:
    killed = Line(2.05, "nemesis", "fault", "7", 0, "kill-worker w1.1")
    healed = Line(2.06, "nemesis", "healed", "7")
    twice = [*published("a"), *ran("a", 2.0), killed, healed, *ran("a", 3.0, "w2.1/11")]
    verdict = judge(twice)
    assert verdict.good
    assert verdict.duplicated == {"a"}
    assert verdict.causes == {"ack lost: kill-worker": 1}


@pytest.mark.parametrize("name", ["kill-worker w9.1", "term-worker w1.1"])
def test_a_second_end_is_not_explained_by_others_nor_by_an_orderly_end(name: str) -> None:
    fault = Line(2.05, "nemesis", "fault", "7", 0, name)
    healed = Line(2.06, "nemesis", "healed", "7")
    verdict = judge([*published("a"), *ran("a", 2.0), fault, healed, *ran("a", 3.0, "w2.1/11")])
    assert verdict.causes == {UNEXPLAINED: 1}
    assert verdict.unexplained == {"a"}


def test_published_twice_may_end_twice() -> None:
    verdict = judge([*published("a"), *published("a", 1.5), *ran("a", 2.0), *ran("a", 3.0)])
    assert not verdict.duplicated


def test_lines_are_read_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    writer = LedgerWriter(path, "p1.1")
    writer.attempt("a")
    writer.confirm("a")
    assert pending(read(path)) == {"a"}
    writer.end("a", 1)
    writer.close()
    with path.open("ab") as file:
        file.write(b'[1.0, "half a li')
    assert [line.kind for line in read(path)] == ["attempt", "confirm", "end"]
    assert pending(read(path)) == set()
