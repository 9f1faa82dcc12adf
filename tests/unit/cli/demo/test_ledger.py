"""The demo's account: it must see a loss, a second run and a foreign message if there is one."""

from __future__ import annotations

from pathlib import Path

from rmqwork._cli.demo.ledger import Ledger, LedgerReader, LedgerWriter, Tally, balance


def tally_of(*lines: tuple[str, str], folder: Path) -> Tally:
    """What the ledger comes to after some lines of (kind, task id)."""
    path = folder / "ledger"
    reader = LedgerReader(path)
    writer = LedgerWriter(path)
    for kind, task_id in lines:
        writer.write(kind, task_id, "q", 1, task_id)  # type: ignore[arg-type]
    writer.close()
    tally = Tally(["q"])
    tally.add(reader.read())
    return tally


def test_a_ledger_that_balances(tmp_path: Path) -> None:
    tally = tally_of(("retry", "a"), ("done", "a"), ("done", "b"), folder=tmp_path)

    ledger = balance(["a", "b", "c"], tally, ["c"])

    assert ledger == Ledger(3, 2, 1, frozenset(), run_twice=0, both=0, foreign=0)
    assert ledger.balances
    assert tally.queues["q"].retries == 1


def test_a_message_in_no_visible_place_is_lost(tmp_path: Path) -> None:
    ledger = balance(["a", "b"], tally_of(("retry", "b"), ("done", "a"), folder=tmp_path), [])

    assert ledger.lost == {"b"}
    assert not ledger.balances


def test_a_second_run_and_a_dead_letter_of_an_executed_task_are_counted(tmp_path: Path) -> None:
    tally = tally_of(("done", "a"), ("done", "a"), ("done", "x"), folder=tmp_path)

    ledger = balance(["a"], tally, ["a"])

    assert (ledger.run_twice, ledger.both, ledger.foreign) == (1, 1, 1)
    assert ledger.balances, "at least once: nothing is lost"


def test_a_reader_sees_whole_new_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text("done\told\tq\t1\t-\n")
    reader = LedgerReader(path)

    with path.open("a") as file:
        file.write("done\tnew\tq\t1\t-\ndone\thal")
    first = [line.task_id for line in reader.read()]
    with path.open("a") as file:
        file.write("f\tq\t1\t-\n")

    assert first == ["new"]
    assert [line.task_id for line in reader.read()] == ["half"]
