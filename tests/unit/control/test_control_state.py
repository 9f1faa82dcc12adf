"""What holds: commands folded in their order."""

from __future__ import annotations

from dataclasses import replace

from rmqwork._control.control_state import ControlState
from rmqwork._control.wire import Command


def said(do: str, **what: object) -> Command:
    return Command(do, what, by="op@host")


def test_a_queue_is_paused_by_the_last_word_about_it():
    standing = ControlState()
    first, second = said("pause", queue="a"), said("pause", queue="b")
    for command in (first, second, said("resume", queue="a"), said("resume", queue="unheard-of")):
        standing.take(command)

    assert standing.paused == {"b": second}


def test_ids_and_workflows_are_revoked():
    standing = ControlState()
    tasks, flow = said("revoke", ids=["1", "2"]), said("revoke", workflows=["w"])
    assert standing.revoked == 0

    standing.take(tasks)
    standing.take(flow)

    assert standing.revocation("1", None) is tasks
    assert standing.revocation("3", None) is None
    assert standing.revocation("3", "w") is flow
    assert standing.revocation("w", None) is None
    assert standing.revoked == 3


def test_the_oldest_ids_are_forgotten_and_a_new_word_keeps_one():
    standing = ControlState(most=3)
    for one in ("1", "2", "3", "1", "4"):
        standing.take(said("revoke", ids=[one]))

    assert [one for one in "1234" if standing.revocation(one, None)] == ["1", "3", "4"]


def test_a_revocation_can_be_taken_back():
    standing = ControlState()
    standing.take(said("revoke", ids=["1", "2"]))
    standing.take(said("revoke", ids=["1"], undo=True))

    assert standing.revocation("1", None) is None
    assert standing.revocation("2", None) is not None


def test_what_is_no_list_of_ids_revokes_nothing():
    standing = ControlState()
    standing.take(said("revoke", ids="12", workflows={"a": 1}))

    assert standing.revoked == 0


def test_a_pause_far_back_in_the_stream_is_said_again_and_never_undoes_a_resume():
    pause = said("pause", queue="a")
    standing = ControlState()
    standing.take(pause, 1)
    standing.take(said("mark"), 5000)
    assert standing.pauses_to_refresh() == []
    standing.take(said("mark"), 20_000)

    (again,) = standing.pauses_to_refresh()
    assert (again.id, again.what) == (pause.id, {"queue": "a", "again": True})
    standing.take(again, 20_001)
    assert standing.pauses_to_refresh() == []
    assert standing.paused == {"a": again}

    standing.take(said("resume", queue="a"), 20_002)
    standing.take(replace(again), 20_003)  # another worker, which had not read the resume yet
    assert standing.paused == {}

    fresh = ControlState()  # for which the stream begins with what was said again
    fresh.take(again, 20_003)
    assert fresh.paused == {"a": again}
