"""What follows from a node, a value, a failure."""

from __future__ import annotations

import dataclasses
import json

import pytest

from rmqwork._messages import headers as names
from rmqwork._topology.join_queues import MEMBERS_MOST, queue_of
from rmqwork._workflows import join_messages
from rmqwork._workflows.context import TooLarge
from rmqwork._workflows.document import Workflow
from rmqwork._workflows.flow import (
    ended,
    failed,
    launch,
    never_run,
    proceed,
    replaced,
    succeeded,
    takes_value,
)
from rmqwork._workflows.join_messages import Kind
from rmqwork._workflows.splice import frames_of, items_of
from tests.unit.workflows.nodes import CARRY, body, carried, ids, task

FAILURE = {"task_id": "a", "type": "ValueError", "message": "no"}


def chain(*nodes, **more):
    return {"chain": list(nodes), **more}


def group(group_id, *nodes, **more):
    return {"group": list(nodes), "id": group_id, **more}


# ── one task ──────────────────────────────────────────────────────────────────────────────────


def test_a_task_is_one_publication_with_the_value_spliced_in():
    (one,) = launch(task("a", priority=3, version=2, headers={"h": 1}), b"[4]", "", CARRY)
    assert (one.exchange, one.routing_key, one.type, one.message_id) == (
        "rmqwork.tasks",
        "low",
        "shop.add",
        "a",
    )
    assert json.loads(one.body) == {"x": [4], "y": 1}
    assert (one.priority, one.reply_to, one.correlation_id, one.app_id) == (
        3,
        "replies",
        "a",
        "shop",
    )
    assert one.headers[names.VERSION] == 2
    assert one.headers["h"] == 1
    assert carried(one) == Workflow("wf")


def test_a_task_that_takes_nothing_gets_nothing():
    (one,) = launch(task("a", into=None), b"4", "", CARRY)
    assert body(one) == {"y": 1}


def test_times_count_from_the_publication():
    (one,) = launch(task(countdown=5, expires=60), None, "", CARRY)
    assert (one.due, one.headers[names.EXPIRES_AT]) == (1005.0, 1_060_000)
    (one,) = launch(task(eta=7_000_000, expires_at=9_000_000), None, "", CARRY)
    assert (one.due, one.headers[names.EXPIRES_AT]) == (7000.0, 9_000_000)


def test_the_end_of_a_whole_workflow_is_the_end_of_each_step():
    carry = dataclasses.replace(CARRY, expires_at=1_030_000)
    (one,) = launch(chain(task("a", expires=60), task("b")), None, "", carry)
    assert one.headers[names.EXPIRES_AT] == 1_030_000
    (two,) = succeeded(carried(one), b"1", carry)
    assert two.headers[names.EXPIRES_AT] == 1_030_000
    assert carried(two).expires_at == 1_030_000


def test_what_the_broker_would_not_take_is_refused():
    with pytest.raises(TooLarge, match=r"shop.add \(a\)"):
        launch(task("a"), b'"' + b"x" * 100 + b'"', "", dataclasses.replace(CARRY, max_size=50))


def test_a_group_that_no_join_could_hold_is_refused():
    members = [task(f"{n}") for n in range(MEMBERS_MOST + 1)]
    assert len(launch(group("g", *members), None, "", CARRY)) == len(members)
    with pytest.raises(TooLarge, match="60,001 members"):
        launch(chain(group("g", *members), task("b")), None, "", CARRY)


# ── chains ────────────────────────────────────────────────────────────────────────────────────


def test_a_chain_runs_step_by_step_each_with_the_value_before_it():
    (one,) = launch(chain(task("a"), task("b"), task("c")), None, "", CARRY)
    (two,) = succeeded(carried(one), b"2", CARRY)
    (three,) = succeeded(carried(two), b"3", CARRY)
    assert ids([one, two, three]) == ["a", "b", "c"]
    assert body(three) == {"x": 3, "y": 1}
    assert succeeded(carried(three), b"4", CARRY) == []


def test_a_chain_in_a_chain_is_one_chain():
    inner = chain(task("b"), chain(task("c"), task("d")))
    seen, waiting = [], launch(chain(task("a"), inner, task("e")), None, "", CARRY)
    while waiting:
        one = waiting.pop()
        seen.append(one.message_id)
        waiting += succeeded(carried(one), b"1", CARRY)
    assert seen == ["a", "b", "c", "d", "e"]


def test_a_chain_of_1000_steps_does_not_read_what_it_passes_on(monkeypatch):
    (one,) = launch(chain(*(task(f"{n}") for n in range(1000))), None, "", CARRY)
    text = carried(one).then
    (two,) = succeeded(carried(one), b"1", CARRY)
    assert text.endswith(carried(two).then)
    assert len(items_of(carried(two).then)) == 998


def test_an_empty_chain_passes_its_value_on():
    (one,) = launch(chain(chain(), task("a")), b"7", "", CARRY)
    assert body(one)["x"] == 7


def test_links_start_with_the_value_and_have_nothing_after_them():
    first = task("a", link=[task("l")])
    (one,) = launch(chain(first, task("b"), link=[task("m")]), None, "", CARRY)
    linked, two = succeeded(carried(one), b"5", CARRY)
    assert (ids([linked, two]), body(linked)["x"]) == (["l", "b"], 5)
    assert carried(linked) == Workflow("wf")
    assert ids(succeeded(carried(two), b"6", CARRY)) == ["m"]


# ── groups and joins ──────────────────────────────────────────────────────────────────────────


def test_a_group_with_nothing_after_it_is_its_members():
    started = launch(group("g", task("a"), task("b")), b"1", "", CARRY)
    assert ids(started) == ["a", "b"]
    assert [carried(one).then for one in started] == ["", ""]


def test_a_group_with_something_after_it_opens_its_join_first():
    opening, *members = launch(chain(group("g", task("a"), task("b")), task("c")), b"1", "", CARRY)
    assert ids(members) == ["a", "b"]
    assert (opening.exchange, opening.routing_key) == ("", queue_of("g"))
    assert (opening.message_id, opening.headers[names.JOIN]) == ("g", Kind.OPEN)
    read = join_messages.read_opened(opening.body, 1000.0, CARRY.max_size)
    assert (read.size, [node["id"] for node in items_of(read.then)]) == (2, ["c"])
    assert read.carry == CARRY
    (part,) = succeeded(carried(members[1]), b"22", CARRY)
    assert (part.routing_key, part.message_id, part.body) == (queue_of("g"), "g", b"22")
    assert (part.headers[names.JOIN], part.headers[names.INDEX]) == (Kind.PART, 1)


def test_an_empty_group_goes_on_at_once_with_an_empty_list():
    (one,) = launch(chain(group("g"), task("a")), None, "", CARRY)
    assert body(one)["x"] == []


def test_nesting_has_no_limit():
    node = task("a")
    for n in range(3000):
        node = chain(group(f"g{n}", node)) if n % 2 else group(f"g{n}", node)
    started = launch(chain(node, task("b")), None, "", CARRY)
    assert started[-1].message_id == "a"
    assert len(started) == 3001


def test_a_thousand_empty_groups_and_chains():
    (one,) = launch(chain(*[group("g"), chain()] * 1000, task("b")), None, "", CARRY)
    assert (one.message_id, body(one)["x"]) == ("b", [])


def test_a_group_in_a_group_is_one_value_of_it():
    opening, inner_open, a, b, c = launch(
        chain(group("g", group("h", task("a"), task("b")), task("c")), task("d")), None, "", CARRY
    )
    assert ids([opening, inner_open, a, b, c]) == ["g", "h", "a", "b", "c"]
    (part,) = proceed(
        join_messages.read_opened(inner_open.body, 0.0, 1 << 20).then, b"[1,2]", CARRY
    )
    assert (part.message_id, part.headers[names.INDEX], part.body) == ("g", 0, b"[1,2]")


# ── failures ──────────────────────────────────────────────────────────────────────────────────


def test_a_failure_starts_the_handlers_and_names_those_that_never_run():
    first = task("a", link=[task("l")], link_error=[task("e", into="failure")])
    then = chain(task("b"), group("g", task("c"), chain(task("d"))), task("f", link=[task("m")]))
    (one,) = launch(chain(first, then), None, "", CARRY)
    broken = failed(carried(one), FAILURE, CARRY)
    assert ids(broken.publications) == ["e"]
    assert body(broken.publications[0])["failure"] == FAILURE
    assert broken.never == ["l", "b", "c", "d", "f", "m"]


def test_the_handler_of_a_chain_starts_whichever_step_fails_and_not_for_what_comes_after():
    handled = chain(task("a"), task("b"), link_error=[task("e")])
    (one,) = launch(chain(handled, task("c"), link_error=[task("outer")]), None, "", CARRY)
    (two,) = succeeded(carried(one), b"1", CARRY)
    for step in (one, two):
        assert ids(failed(carried(step), FAILURE, CARRY).publications) == ["e", "outer"]
    (three,) = succeeded(carried(two), b"1", CARRY)
    assert three.message_id == "c"
    assert ids(failed(carried(three), FAILURE, CARRY).publications) == ["outer"]


def test_a_member_that_fails_is_a_failed_part_of_its_join():
    opening, a = launch(chain(group("g", task("a")), task("b")), None, "", CARRY)
    broken = failed(carried(a), FAILURE, CARRY)
    (part,) = broken.publications
    assert (part.message_id, part.headers[names.JOIN]) == ("g", Kind.FAILED)
    assert json.loads(part.body) == FAILURE
    assert broken.never == []
    then = join_messages.read_opened(opening.body, 0.0, 1 << 20).then
    assert ended(then, FAILURE, CARRY).never == ["b"]


def test_the_handler_of_a_group_starts_once_with_a_join_and_per_member_without():
    node = group("g", task("a"), task("b"), link_error=[task("e")])
    for one in launch(node, None, "", CARRY):
        assert ids(failed(carried(one), FAILURE, CARRY).publications) == ["e"]
    opening, *_ = launch(chain(node, task("c")), None, "", CARRY)
    then = join_messages.read_opened(opening.body, 0.0, 1 << 20).then
    assert ids(ended(then, FAILURE, CARRY).publications) == ["e"]


def test_the_handler_of_a_chain_that_ends_in_a_group_starts_once():
    opening, *_ = launch(
        chain(task("a"), group("g", task("b"), task("c")), link_error=[task("e")])["chain"][1],
        None,
        frames_of([{"catch": [task("e")]}]),
        CARRY,
    )
    assert opening.headers[names.JOIN] == Kind.OPEN


def test_never_run_of_a_deep_tree():
    node = task("a")
    for n in range(3000):
        node = group(f"g{n}", node)
    assert never_run([node]) == ["a"]


# ── a task that replaces itself ───────────────────────────────────────────────────────────────


def test_what_replaces_a_task_takes_over_all_that_comes_after_it():
    first = task("a", link=[task("l")], link_error=[task("e")])
    (one,) = launch(chain(first, task("b")), None, "", CARRY)
    (two,) = replaced(carried(one), chain(task("new", into=None), task("a")), CARRY)
    assert ids(failed(carried(two), FAILURE, CARRY).publications) == ["e"]
    (three,) = succeeded(carried(two), b"1", CARRY)
    assert ids(succeeded(carried(three), b"2", CARRY)) == ["l", "b"]


# ── who takes the value ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("frames", "takes"),
    [
        ([], False),
        ([task()], True),
        ([task(into="")], True),
        ([task(into=None), task()], False),
        ([chain(task(into=None))], False),
        ([chain(), task()], True),
        ([group("g", task(into=None), task())], True),
        ([group("g", task(into=None))], False),
        ([{"join": "g", "index": 0, "size": 1, "queue": "q"}], True),
        ([{"link": [task()]}], True),
        ([{"catch": [task()]}], False),
    ],
)
def test_a_value_is_asked_for_where_something_takes_it(frames, takes):
    assert takes_value(frames_of(frames)) is takes
