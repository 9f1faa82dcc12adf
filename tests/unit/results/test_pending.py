"""Where what becomes known of one task arrives."""

from __future__ import annotations

import pytest

from rmqwork._results import record
from rmqwork._results.pending import PendingResult
from rmqwork.types import Evidence, Reason

STARTED = record.read(record.started(1, 2))
DONE = record.read(record.success(b'{"result":4}'))
FAILED = record.read(record.failure(Reason.FAILED, Evidence("E", "m")))


def test_the_first_final_word_holds() -> None:
    entry = PendingResult("id")

    entry.update(STARTED)
    assert (entry.latest, entry.final.done()) == (STARTED, False)
    entry.update(DONE)
    for late in (FAILED, STARTED):
        entry.update(late)
    assert entry.latest is entry.final.result(0) is DONE


def test_who_gives_up_waiting_does_not_end_it_for_others() -> None:
    entry = PendingResult("id")

    assert not entry.final.cancel()
    entry.update(DONE)
    assert entry.final.result(0) is DONE


def test_nothing_more_becomes_known_after_an_error_until_it_begins_anew() -> None:
    entry = PendingResult("id")
    entry.fail(ConnectionError("gone"))
    entry.update(DONE)
    with pytest.raises(ConnectionError):
        entry.final.result(0)
    entry.fail(KeyError("later"))

    entry.forget()

    assert (entry.latest, entry.final.done()) == (None, False)
    assert not entry.final.cancel()
    entry.update(DONE)
    assert entry.final.result(0) is DONE


def test_what_is_known_of_an_earlier_run_of_the_same_id_is_no_word_about_this_one() -> None:
    earlier, mine, later = (f"0193e7a0-0000-7000-8000-00000000000{n}" for n in "123")
    done = record.success(b'{"result":"x"}')

    entry = PendingResult("id", mine)
    assert not entry.update(record.read(record.of_run(done, earlier)))
    assert not entry.update(record.read(record.of_run(record.started(1, 2), earlier)))
    assert (entry.latest, entry.final.done()) == (None, False)
    for run in (mine, later, None):  # None: the worker does not know of runs
        entry = PendingResult("id", mine)
        assert entry.update(record.read(record.of_run(done, run)))
        assert entry.final.done()
    assert PendingResult("id").update(record.read(record.of_run(done, earlier)))
