"""The demo's account: it must see a loss, and a second run if there is one."""

from __future__ import annotations

from pathlib import Path

from rmqwork._cli.demo.ledger import Balance, Ledger, LedgerWriter, Line, balance


def ledger_of(*lines: Line, folder: Path) -> Ledger:
    """A ledger after some lines."""
    ledger = Ledger(folder / "ledger")
    writer = LedgerWriter(folder / "ledger")
    for line in lines:
        writer.write(line)
    writer.close()
    ledger.read()
    return ledger


def done(task_id: str) -> Line:
    return Line("done", task_id, "q", 1, f"picture-{task_id}")


def retry(task_id: str) -> Line:
    return Line("retry", task_id, "q", 1)


def test_a_ledger_that_balances(tmp_path: Path) -> None:
    ledger = ledger_of(retry("a"), done("a"), done("b"), folder=tmp_path)

    found = balance(["a", "b", "c"], ledger, ["c"])

    assert found == Balance(3, 2, 1, frozenset(), run_twice=0, both=0, foreign=0)
    assert found.balances
    assert ledger.retries == {"q": 1}
    assert ledger.names == {"picture-a", "picture-b"}


def test_a_message_in_no_visible_place_is_lost(tmp_path: Path) -> None:
    found = balance(["a", "b"], ledger_of(retry("b"), done("a"), folder=tmp_path), [])

    assert found.lost == {"b"}
    assert not found.balances


def test_a_second_run_and_a_dead_letter_of_an_executed_task_are_counted(tmp_path: Path) -> None:
    ledger = ledger_of(done("a"), done("a"), done("x"), folder=tmp_path)

    found = balance(["a"], ledger, ["a"])

    assert (found.run_twice, found.both, found.foreign) == (1, 1, 1)
    assert found.balances, "at least once: nothing is lost"


def test_whole_new_lines_are_read_only(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text('["done","old","q",1,""]\n')
    ledger = Ledger(path)

    with path.open("a") as file:
        file.write('["done","new","q",1,""]\n["done","hal')
    ledger.read()
    first = set(ledger.done["q"])
    with path.open("a") as file:
        file.write('f","q",1,""]\n')
    ledger.read()

    assert first == {"new"}
    assert ledger.done["q"] == {"new", "half"}
    assert ledger.runs == 2
