from __future__ import annotations

from dataclasses import dataclass

import pytest

from rmqwork._config.task_table import TaskTable


@dataclass(frozen=True)
class Entry:
    name: str
    aliases: tuple[str, ...] = ()


RENAMED = Entry("new", ("old", "older"))
OTHER = Entry("other")


@pytest.fixture
def table() -> TaskTable[Entry]:
    return TaskTable([RENAMED, OTHER])


def test_former_names_find_a_task(table):
    assert table["old"] is table.get("older") is table["new"] is RENAMED
    assert "old" in table
    assert table.get("oldest") is None
    with pytest.raises(KeyError):
        table["oldest"]


def test_each_task_is_there_once(table):
    assert len(table) == 2
    assert list(table) == list(table.keys()) == sorted(table) == ["new", "other"]
    assert list(table.values()) == [RENAMED, OTHER]
    assert table == dict(table.items()) == {"new": RENAMED, "other": OTHER}
    assert table != {"new": RENAMED}


def test_a_task_that_is_declared_again_has_only_its_new_aliases(table):
    table.add(Entry("new", ("oldest",)))

    assert "old" not in table
    assert table["oldest"].name == "new"
    assert list(table) == ["other", "new"] or list(table) == ["new", "other"]
