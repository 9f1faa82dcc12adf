"""What failed in the same way, and what did not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rmqwork._admin.deadletters.groups import Groups, group_of
from tests.unit.admin.deadletters.dead_letters import TRACEBACK, letter

OTHER_PLACE = TRACEBACK.replace("in check", "in other")


def test_releases_lines_and_values_do_not_matter() -> None:
    one = letter(rmqwork_error_traceback=TRACEBACK.format(release=1, line=3, message="7"))
    two = letter(rmqwork_error_traceback=TRACEBACK.format(release=22, line=44, message="[9]"))
    assert group_of(one) == group_of(two)


@pytest.mark.parametrize(
    "changed",
    [
        {"rmqwork_error_type": "KeyError"},
        {"rmqwork_queue": "p"},
        {"rmqwork_error_reason": "rejected"},
        {"rmqwork_error_traceback": OTHER_PLACE.format(release=1, line=3, message="7")},
        {"rmqwork_error_traceback": None},
    ],
)
def test_other_failures_are_other_groups(changed: dict[str, str]) -> None:
    assert group_of(letter()) != group_of(letter(**changed))


def test_without_a_traceback_the_message_counts_but_not_its_values() -> None:
    def of(message: str) -> str:
        told = letter(rmqwork_error_traceback=None, rmqwork_error_message=message)
        return group_of(told).id

    assert of("width 7 of 'a' is wrong") == of("width 12 of 'b' is wrong\nmore")
    assert of("width 7 of 'a' is wrong") != of("height 7 of 'a' is wrong")


def test_counts_and_times() -> None:
    groups = Groups()
    for number, day in enumerate((3, 1, 2)):
        at = f"2030-01-0{day}T00:00:00.000+00:00"
        found = letter(b"%d" % number, rmqwork_error_at=at, rmqwork_error_message=f"day {day}")
        assert groups.add(found)
        assert not groups.add(found)  # a copy
    (group,) = groups.largest_first()
    assert (group.count, groups.letters, group.message) == (3, 3, "day 3")
    assert group.where == "checks.py:3 in check"
    assert group.first is not None
    assert group.last is not None
    assert (group.first.day, group.last.day) == (1, 3)


def test_letters_without_an_id_are_never_copies() -> None:
    groups = Groups()
    nameless = replace(letter(), id=None)

    assert groups.add(nameless)
    assert groups.add(nameless)
    assert groups.letters == 2
