"""The results of many as one."""

from __future__ import annotations

import pytest

from rmqwork import GroupResult, ResultTimeout, TaskFailed, as_completed, wait
from rmqwork._results import record
from rmqwork._results.group import _Nothing, nothing_to_do
from rmqwork._results.pending import PendingResult
from rmqwork._results.result import AsyncResult, Source
from rmqwork.types import Evidence


class Member:
    """A task whose end the test decides."""

    def __init__(self, name: str) -> None:
        self.entry = PendingResult(name)
        self.result: AsyncResult[int] = AsyncResult(name, "add", Source(_Nothing(), self.entry))

    def succeed(self, value: int) -> None:
        self.entry.update(record.read(record.success(b'{"result":%d}' % value)))

    def fail(self) -> None:
        self.entry.update(record.read(record.failure("failed", Evidence("ValueError", "no"))))

    def start(self) -> None:
        self.entry.update(record.read(record.started(1, 2)))


@pytest.fixture
def members() -> list[Member]:
    return [Member(name) for name in "abc"]


@pytest.fixture
def result(members: list[Member]) -> GroupResult[int]:
    return GroupResult("g", [member.result for member in members])


def test_values_come_in_the_order_of_the_members(members, result):
    assert (result.state, result.ready(), result.completed_count()) == ("PENDING", False, 0)
    members[2].start()
    assert result.state == "STARTED"
    with pytest.raises(ResultTimeout, match="3 of the 3 members of group g had no result"):
        result.get(timeout=0.01)
    members[2].succeed(3)
    members[0].succeed(1)
    assert (result.state, result.completed_count(), result.waiting()) == ("STARTED", 2, True)
    members[1].succeed(2)
    assert result.get(timeout=1) == [1, 2, 3]
    assert (result.state, result.successful(), result.failed()) == ("SUCCESS", True, False)
    assert [child.get() for child in result] == [1, 2, 3]
    assert (len(result), result[1].get(), result.results) == (3, 2, result.children)


def test_the_first_failure_is_raised_as_soon_as_it_is_known(members, result):
    members[1].fail()
    with pytest.raises(TaskFailed, match="ValueError: no"):
        result.get(timeout=1)
    assert (result.state, result.failed(), result.ready()) == ("FAILURE", True, False)
    assert result.completed_count() == 0


async def test_on_the_event_loop(members, result):
    for number, member in enumerate(members):
        member.succeed(number)
    assert await result.aget(timeout=1) == [0, 1, 2]
    assert await result.aready()


def test_groups_in_groups_and_among_others(members, result):
    outer = GroupResult("o", [result, Member("d").result])
    for member in members:
        member.succeed(1)
    assert wait([result], timeout=1) == [result]
    assert list(as_completed([result, nothing_to_do()], timeout=1))
    with pytest.raises(ResultTimeout, match="1 of the 2 members"):
        outer.get(timeout=0.01)


def test_empty_groups_are_ready_or_wait_for_what_is_before_them():
    assert GroupResult("g", ()).get() == []
    before = Member("a")
    result = GroupResult("g", (), parent=before.result)
    assert not result.ready()
    with pytest.raises(ResultTimeout):
        result.get(timeout=0.01)
    before.succeed(1)
    assert (result.get(timeout=1), result.state) == ([], "SUCCESS")
    assert nothing_to_do().get() is None
