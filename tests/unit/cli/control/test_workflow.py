"""``rmqwork inspect workflow ID``: from the answers of workers to what a person sees."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rmqwork._cli.control.workflow import show_workflow


def answers() -> list[dict[str, Any]]:
    step = {"id": "t1", "task": "shop.add", "workflow": "wf", "attempt": 2, "age_s": 1.5}
    other = {**step, "id": "t2", "workflow": None}
    group = {"join": "g1", "workflow": "wf", "arrived": 3, "size": 10, "born": 0.0}
    return [
        {"worker": "w1", "tasks": [step, other], "joins": []},
        {"worker": "w2", "tasks": [], "joins": [group, {**group, "workflow": "x"}]},
        {"worker": "w3", "error": "it is stopping"},
    ]


def test_its_steps_and_groups_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_workflow("wf", answers(), as_json=False) == 0
    printed = capsys.readouterr().out
    assert "shop.add" in printed
    assert "attempt 2" in printed
    assert "3 of 10 members have ended" in printed
    assert "t2" not in printed


def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_workflow("wf", answers(), as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["id"], one["worker"]) for one in told["steps"]] == [("t1", "w1")]
    assert [(one["join"], one["worker"]) for one in told["groups"]] == [("g1", "w2")]


def test_nothing_of_it_is_in_a_workers_hands(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_workflow("gone", answers(), as_json=False) == 1
    assert "waits in a queue" in capsys.readouterr().err
