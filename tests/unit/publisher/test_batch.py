"""The publications of one call, and the end of the call."""

from __future__ import annotations

from time import monotonic

import pytest

from rmqwork._publisher.batch import Batch
from rmqwork.errors import ConfigurationError, Nacked
from tests.unit.fakes import publication


def test_the_last_one_ends_the_call_with_each_result_at_its_place() -> None:
    batch = Batch([publication(), publication(), publication()], 5.0)
    error = Nacked("full")
    first, second, third = batch.entries

    assert not third.finish(None)
    assert not second.finish(error)
    assert not batch.future.done()
    assert first.finish(None)
    assert batch.future.result(0) == [None, error, None]


def test_a_second_end_of_one_publication_changes_nothing() -> None:
    batch = Batch([publication(), publication()], 5.0)
    first, second = batch.entries

    assert not first.finish(Nacked("full"))
    assert not first.finish(None)
    assert batch.open == 1
    assert second.finish(None)
    assert isinstance(batch.future.result(0)[0], Nacked)


def test_an_error_of_the_whole_call_ends_it_and_what_comes_later_is_too_late() -> None:
    batch = Batch([publication(), publication()], 5.0)
    batch.end(ConfigurationError("the plan is refused"))

    assert batch.open == 0
    assert not batch.entries[0].finish(None)
    batch.end(Nacked("later"))
    with pytest.raises(ConfigurationError, match="the plan is refused"):
        batch.future.result(0)


def test_the_deadline_is_that_of_the_call() -> None:
    before = monotonic()
    assert before + 5 <= Batch([publication()], 5.0).deadline <= monotonic() + 5
