"""Celery's canvas guide, example by example, and what goes beyond it.

https://docs.celeryq.dev/en/stable/userguide/canvas.html: on RabbitMQ with a worker process, and on
the broker in memory with a worker on threads; with results on RabbitMQ, and in each store.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from rmqwork import App, GroupResult, TaskFailed, chain, chord, group
from rmqwork.errors import ResultsDisabled
from rmqwork.testing.broker import vhost
from tests.acceptance.apps import canvas as module
from tests.acceptance.support import Ledger, Worker
from tests.stores import store
from tests.waiting import until

APP = "tests.acceptance.apps.canvas:app"
TIMEOUT = 60.0


class CanvasHarness:
    """An app whose worker runs."""

    def __init__(self, app: App, folder: Path) -> None:
        self.app = app
        self._folder = folder
        self._files = 0

    def __getattr__(self, name: str) -> Any:
        """A task."""
        return self.app.tasks[f"canvas.{name}"]

    def file(self) -> Path:
        """A file that tasks may write."""
        self._files += 1
        return self._folder / f"file-{self._files}"


def lines(path: Path, count: int) -> list[str]:
    """The lines of a file, once there are so many."""
    until(lambda: path.exists() and len(path.read_text().splitlines()) >= count, str(path))
    return sorted(path.read_text().splitlines())


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("rpc", marks=pytest.mark.broker),
        "memory",
        pytest.param("sqlite", marks=pytest.mark.broker),
        *(
            pytest.param(kind, marks=[pytest.mark.broker, pytest.mark.store])
            for kind in ("redis", "postgresql", "mariadb")
        ),
    ],
)
def on(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[CanvasHarness]:
    """Each back end on RabbitMQ with a worker process, and replies on the broker in memory."""
    kind: str = request.param
    folder = tmp_path_factory.mktemp("canvas")
    with ExitStack() as stack:
        results = {"rpc": "rpc://", "memory": "rpc://", "sqlite": f"sqlite:///{folder / 'db'}"}
        if kind not in results:
            results[kind], _ = stack.enter_context(store(kind))
        if kind == "memory":
            app = module.make("memory://canvas-guide", results[kind])
            stack.enter_context(app.test_worker(concurrency=2))
        else:
            url = stack.enter_context(vhost(request.getfixturevalue("broker")))
            app = module.make(url, results[kind])
            env = {"RMQWORK_RESULTS": results[kind]}
            stack.enter_context(Worker(url, Ledger(folder / "ledger"), app=APP, env=env))
        yield CanvasHarness(app, folder)
        app.close(5)


on_messages = pytest.mark.parametrize(
    "on",
    [pytest.param("rpc", marks=pytest.mark.broker), "memory"],
    indirect=True,
    scope="module",
)
"""What no store has a part in."""


# ── the guide ─────────────────────────────────────────────────────────────────────────────────


def test_signatures(on: CanvasHarness):
    add = on.add
    assert add.s(2, 2).delay().get(TIMEOUT) == 4
    assert add.s(2, 2).apply_async(countdown=0.05).get(TIMEOUT) == 4
    assert add.s(2, 2).set(countdown=0.05, queue="default")().get(TIMEOUT) == 4
    signature = add.s(2, y=2).set(countdown=10)
    assert (signature.args, signature.kwargs, signature.options) == (
        (2,),
        {"y": 2},
        {"countdown": 10},
    )


def test_partials(on: CanvasHarness):
    partial = on.add.s(2)  # incomplete: add(?, 2)
    assert partial.delay(4).get(TIMEOUT) == 6
    assert partial.apply_async(4, countdown=0.05).get(TIMEOUT) == 6
    assert on.create_user.partial(domain="x.org").delay("ann").get(TIMEOUT).email == "ann@x.org"


def test_callbacks_and_immutability(on: CanvasHarness):
    add, write = on.add, on.write
    path = on.file()
    result = add.apply_async((2, 2), link=add.s(16))
    assert (result.get(TIMEOUT), result.children[0].get(TIMEOUT)) == (4, 20)
    add.apply_async((2, 2), link=write.si("reset buffers", str(path)))
    result = add.s(2, 2).link(on.mul.s(4)).link(on.mul.s(10) | write.si("second", str(path)))()
    assert [child.get(TIMEOUT) for child in result.children] == [16, None]
    assert lines(path, 2) == ["reset buffers", "second"]


def test_simple_chain(on: CanvasHarness):
    add = on.add
    result = chain(add.s(2, 2), add.s(4), add.s(8))()
    assert result.get(TIMEOUT) == 16
    assert (result.parent.get(TIMEOUT), result.parent.parent.get(TIMEOUT)) == (8, 4)
    assert (add.s(2, 2) | add.s(4) | add.s(8))().get(TIMEOUT) == 16
    result = (add.si(2, 2) | add.si(4, 4) | add.si(8, 8))()  # immutable
    assert result.get(TIMEOUT) == 16
    assert (result.parent.get(TIMEOUT), result.parent.parent.get(TIMEOUT)) == (8, 4)
    assert result.parent.parent.parent is None


def test_simple_group(on: CanvasHarness):
    result = group(on.add.s(i, i) for i in range(10))()
    assert result.get(TIMEOUT) == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert isinstance(result, GroupResult)


def test_simple_chord(on: CanvasHarness):
    result = chord((on.add.s(i, i) for i in range(10)), on.tsum.s())()
    assert result.get(TIMEOUT) == 90
    assert result.parent.get(TIMEOUT)[:3] == [0, 2, 4]


def test_blow_your_mind_by_combining(on: CanvasHarness):
    add, mul = on.add, on.mul
    assert (add.s(4) | mul.s(8))(16).get(TIMEOUT) == 160
    new_user = on.create_user.partial() | group(on.import_contacts.s(), on.send_welcome_email.s())
    assert new_user.delay("artv").get(TIMEOUT) == ["contacts of artv", "mail to artv@example.com"]


def test_a_group_before_a_task_is_a_chord(on: CanvasHarness):
    add, mul, tsum = on.add, on.mul, on.tsum
    assert (group(add.s(i, i) for i in range(10)) | tsum.s())().get(TIMEOUT) == 90
    work = add.s(4, 16) | mul.s(2) | group(add.s(i) for i in range(3)) | tsum.s() | mul.s(2)
    assert work().get(TIMEOUT) == 246
    # a chord in a chain in a group in a chord
    inner = group(add.s(1, 1), add.s(2, 2) | add.s(3)) | tsum.s() | mul.s(10)
    assert (group(inner, add.s(1, 2), inner) | tsum.s())().get(TIMEOUT) == 183


def test_a_chain_that_ends_in_a_group(on: CanvasHarness):
    result = (on.add.s(4, 16) | group(on.mul.s(2), on.mul.s(4)))()
    assert result.get(TIMEOUT) == [40, 80]
    assert result.parent.get(TIMEOUT) == 20


def test_groups_in_groups_keep_their_shape(on: CanvasHarness):
    add = on.add
    nested = group(add.s(1, 1), group(add.s(2, 2), add.s(3, 3)), add.s(4, 4))
    assert nested().get(TIMEOUT) == [2, [4, 6], 8]
    assert (nested | on.flat.s())().get(TIMEOUT) == "[2, [4, 6], 8]"


def test_group_results(on: CanvasHarness):
    add = on.add
    job = group([add.s(2, 2), add.s(4, 4), add.s(8, 8), add.s(16, 16), add.s(32, 32)])
    result = job.apply_async()
    assert result.get(TIMEOUT) == [4, 8, 16, 32, 64]
    assert (result.ready(), result.successful(), result.failed()) == (True, True, False)
    assert (result.waiting(), result.completed_count()) == (False, 5)
    failing = group(add.s(1, 1), on.fails.s(7))()
    with pytest.raises(TaskFailed, match="no 7"):
        failing.get(TIMEOUT)
    assert failing.failed()
    assert failing[0].get(TIMEOUT) == 2  # the others are not concerned


def test_group_callbacks_and_errors(on: CanvasHarness):
    path = on.file()
    work = group(on.add.s(1, 1), on.add.s(2, 2)).link(on.tsum.s() | on.write_value.s(str(path)))
    assert work().get(TIMEOUT) == [2, 4]
    group(on.fails.s(1), on.fails.s(2)).link_error(on.on_error.s(str(path)))()
    assert lines(path, 3) == ["6", "canvas.fails: no 1", "canvas.fails: no 2"]


def test_the_body_of_a_chord_gets_all_in_order(on: CanvasHarness):
    assert chord(on.add.s(i, i) for i in range(100))(on.tsum.s()).get(TIMEOUT) == 9900
    header = [on.add.s(i, i) for i in range(5)]
    assert chord(header)(on.flat.s()).get(TIMEOUT) == "[0, 2, 4, 6, 8]"
    assert chord(header, on.add.si(1, 1))().get(TIMEOUT) == 2


def test_an_error_in_a_chord_is_told_once(on: CanvasHarness):
    path = on.file()
    header = [on.add.s(1, 1), on.fails.s(5), on.fails.s(5), on.add.s(2, 2)]
    work = chord(header, on.tsum.s()).link_error(on.on_error.s(str(path)))
    result = work()
    with pytest.raises(TaskFailed, match="no 5"):
        result.get(TIMEOUT)
    assert lines(path, 1) == ["canvas.fails: no 5"]
    # another chord goes its whole way meanwhile: nothing more was told of the first
    assert chord([on.add.s(1, 1)], on.tsum.s())().get(TIMEOUT) == 2
    assert lines(path, 1) == ["canvas.fails: no 5"]


def test_map_starmap_and_chunks(on: CanvasHarness):
    add, tsum = on.add, on.tsum
    assert tsum.map([list(range(10)), list(range(100))])().get(TIMEOUT) == [45, 4950]
    assert add.starmap(zip(range(10), range(10), strict=True))().get(TIMEOUT)[:3] == [0, 2, 4]
    found = add.chunks(zip(range(100), range(100), strict=True), 10)().get(TIMEOUT)
    assert found == [[2 * n for n in range(start, start + 10)] for start in range(0, 100, 10)]
    assert (on.mul.starmap([(1, 2), (3, 4)]) | tsum.s())().get(TIMEOUT) == 14
    work = add.chunks([(1, 1), (2, 2), (3, 3)], 2) | on.flat.s()
    assert work().get(TIMEOUT) == "[[2, 4], [6]]"


def test_link_error(on: CanvasHarness):
    path = on.file()
    on.fails.s(1).link_error(on.on_error.s(str(path))).delay()
    on.fails.apply_async((2,), link_error=[on.on_error.s(str(path))])
    work = on.add.s(1, 2) | on.fails.s() | on.add.s(4)
    result = work.link_error(on.on_error.s(str(path)))()
    with pytest.raises(TaskFailed, match="no 3"):
        result.get(TIMEOUT)  # what never ran says why
    with pytest.raises(TaskFailed, match="no 3"):
        result.parent.get(TIMEOUT)
    assert result.parent.parent.get(TIMEOUT) == 3
    assert lines(path, 3) == ["canvas.fails: no 1", "canvas.fails: no 2", "canvas.fails: no 3"]


def test_replace(on: CanvasHarness):
    assert on.factorial.delay(6).get(TIMEOUT) == 720
    assert on.fan_out.delay(4).get(TIMEOUT) == 10
    # what comes after the task comes after what replaced it
    work = on.add.s(2, 1) | on.factorial.partial() | on.add.s(100)
    assert work().get(TIMEOUT) == 106
    assert (group(on.fan_out.s(2), on.fan_out.s(3)) | on.tsum.s())().get(TIMEOUT) == 9


# ── beyond it ─────────────────────────────────────────────────────────────────────────────────


@on_messages
def test_messages_go_through_chains(on: CanvasHarness):
    resize, store_it = on.app.tasks["canvas.resize"], on.app.tasks["canvas.store"]
    work = resize.s(module.Resize(width=3)) | store_it.s()
    assert work().get(TIMEOUT) == "w3 stored"
    assert group(work, work)().get(TIMEOUT) == ["w3 stored"] * 2
    by_name = on.app.signature(module.Resize(width=4)) | on.app.signature("canvas.store", into="")
    assert by_name().get(TIMEOUT) == "w4 stored"


@on_messages
def test_empty_groups_and_chains(on: CanvasHarness):
    add, tsum = on.add, on.tsum
    assert group()().get(TIMEOUT) == []
    assert (group() | tsum.s())().get(TIMEOUT) == 0
    assert (add.s(1, 1) | group() | tsum.s())().get(TIMEOUT) == 0
    assert chain(add.s(1, 1), group())().get(TIMEOUT) == []
    assert (chain() | add.s(1, 1) | chain())().get(TIMEOUT) == 2
    assert (group(add.s(1, 1), group()) | on.flat.s())().get(TIMEOUT) == "[2, []]"


@on_messages
def test_a_step_that_runs_again_moves_the_workflow_on_once(on: CanvasHarness):
    path = on.file()
    work = on.second_time.s(5) | on.write_value.s(str(path))
    assert work().get(TIMEOUT) == 5
    assert (group(on.second_time.s(1), on.second_time.s(2)) | on.tsum.s())().get(TIMEOUT) == 3
    assert lines(path, 1) == ["5"]


@on_messages
def test_options_of_steps_and_of_the_whole(on: CanvasHarness):
    add = on.add
    work = add.s(1, 1) | add.s(2).set(countdown=0.05, priority=3, headers={"a": 1})
    assert work.apply_async(priority=1, countdown=0.05).get(TIMEOUT) == 4
    result = (add.s(1, 1) | add.s(2)).apply_async(task_id="my own")
    assert (result.id, result.get(TIMEOUT)) == ("my own", 4)


@on_messages
def test_a_whole_workflow_expires(on: CanvasHarness):
    result = (on.add.s(1, 1) | on.add.s(2)).apply_async(expires=-1)
    with pytest.raises(TaskFailed, match="xpired"):
        result.get(TIMEOUT)


@on_messages
def test_canvas_inside_tasks(on: CanvasHarness):
    path = on.file()
    assert on.starts_another.delay(3, str(path)).get(TIMEOUT)
    assert on.starts_another_too.delay(40, str(path)).get(TIMEOUT)
    assert lines(path, 2) == ["41", "6"]


@on_messages
def test_json_and_back(on: CanvasHarness):
    work = group(on.add.s(i, i) for i in range(3)) | on.tsum.s()
    assert on.app.signature(work.to_json())().get(TIMEOUT) == 6


@on_messages
def test_a_workflow_that_is_larger_than_a_header(on: CanvasHarness):
    work = chain(on.add.s(0, 1), *(on.add.s(1) for _ in range(100)))
    assert work().get(TIMEOUT) == 101


def test_results_of_groups_and_failures(on: CanvasHarness):
    add, tsum = on.add, on.tsum
    result = (add.s(2, 2) | add.s(4) | group(add.s(1), add.s(2)) | tsum.s())()
    assert result.get(TIMEOUT) == 19
    assert (result.parent.get(TIMEOUT), result.parent.parent.get(TIMEOUT)) == ([9, 10], 8)
    several = group(add.s(i, i) for i in range(20))()
    assert several.get(TIMEOUT) == [2 * i for i in range(20)]
    assert several.completed_count() == 20
    with pytest.raises(TaskFailed, match="no 5"):
        chord([add.s(1, 1), on.fails.s(5)], tsum.s())().get(TIMEOUT)


def test_another_process_asks_by_the_ids_alone(on: CanvasHarness):
    result = (on.add.s(2, 2) | on.add.s(4))()
    failing = (on.add.s(1, 2) | on.fails.s() | on.add.s(4))()
    users = on.create_user.map(["ann", "bob"])()
    assert result.get(TIMEOUT) == 8
    made = users.get(TIMEOUT)
    with pytest.raises(TaskFailed, match="no 3"):
        failing.get(TIMEOUT)
    with closing(module.make(on.app.settings.broker[0], on.app.settings.results)) as other:
        if on.app.settings.results == "rpc://":
            with pytest.raises(ResultsDisabled, match="goes to the process that has published"):
                other.result(result.id, "canvas.add")
            return
        assert other.result(result.id, "canvas.add").get(TIMEOUT) == 8
        assert other.result(failing.id, "canvas.add").failed()
        # also the list of a map, each value of the type that the task returns
        assert other.result(users.id, "canvas.create_user").get(TIMEOUT) == made
        assert [(type(one), one.name) for one in made] == [
            (module.User, "ann"),
            (module.User, "bob"),
        ]
        assert other.result(users.id).get(TIMEOUT)[0] == {
            "name": "ann",
            "email": "ann@example.com",
        }


# ── replaced items of maps ────────────────────────────────────────────────────────────────────


def test_an_item_of_a_map_puts_something_in_its_place(on: CanvasHarness):
    maybe = on.maybe
    assert maybe.map([2, 3, 4]).delay().get(TIMEOUT) == [2, 103, 4]
    assert maybe.starmap([(2, 1), (3, 1), (5, 2)]).delay().get(TIMEOUT) == [2, 4, 7]
    assert maybe.chunks([(2,), (3,), (4,), (5,)], 3).delay().get(TIMEOUT) == [[2, 103, 4], [105]]
    assert maybe.map([]).delay().get(TIMEOUT) == []


def test_it_may_be_a_chord_whose_members_do_the_same(on: CanvasHarness):
    work = on.maybe_too.map([3, 4])  # 3: 4 + 103
    assert work.delay().get(TIMEOUT) == [107, 4]
    assert (on.maybe.map([1, 1]) | on.tsum.s()).delay().get(TIMEOUT) == 202
    chunks = on.maybe.chunks([(1,), (2,), (3,)], 2) | on.flat.s()
    assert chunks.delay().get(TIMEOUT) == "[[101, 2], [103]]"


def test_what_fails_in_the_place_of_an_item_fails_the_map(on: CanvasHarness):
    result = (on.maybe_fails.map([2, 3]) | on.tsum.s()).delay()
    with pytest.raises(TaskFailed, match="no 3"):
        result.get(TIMEOUT)
    with pytest.raises(TaskFailed, match="no 3"):
        result.parent.get(TIMEOUT)


def test_a_member_of_a_chord_with_a_link_is_replaced(on: CanvasHarness):
    path = on.file()
    header = [on.maybe.s(3).link(on.write_value.s(str(path))), on.maybe.s(4)]
    assert chord(header, on.tsum.s()).delay().get(TIMEOUT) == 107
    assert lines(path, 1) == ["103"]


# ── ids that are used again ───────────────────────────────────────────────────────────────────


def test_a_workflow_with_a_chosen_id_runs_again(on: CanvasHarness):
    path = str(on.file())
    several = group(on.count.s(path), on.count.s(path)).set(task_id=f"nightly {path}")
    work = several | on.tsum.s()
    assert [work.delay().get(TIMEOUT) for _ in range(3)] == [3, 7, 11]


def test_each_chosen_id_of_a_workflow_is_of_one_run(on: CanvasHarness):
    path = str(on.file())
    first, last = f"first {path}", f"last {path}"
    work = on.count.s(path).set(task_id=first) | on.add.s(10).set(task_id=last)
    results = []
    for run in (1, 2):
        result = work.delay()
        results.append(result)  # what is known of the first run stays
        assert (result.parent.get(TIMEOUT), result.get(TIMEOUT)) == (run, 10 + run)
    assert [one.get(TIMEOUT) for one in results] == [11, 12]
    assert results[0].parent.id == results[1].parent.id == first


def test_a_chosen_id_of_a_task_and_of_its_replacement(on: CanvasHarness):
    path = str(on.file())
    got = [on.count.apply_async((path,), task_id=path).get(TIMEOUT) for _ in range(2)]
    assert got == [1, 2]
    again = [on.maybe.apply_async((3, more), task_id=f"{path}!").get(TIMEOUT) for more in (1, 2)]
    assert again == [4, 5]
    assert on.add.s(1, 1).link(on.add.s(1)).set(task_id=path).delay().get(TIMEOUT) == 2


def test_a_chosen_id_is_used_again_after_a_failed_run(on: CanvasHarness):
    path = str(on.file())
    members = [on.first_fails.s(path, 1), on.add.s(1, 1)]
    work = (group(members).set(task_id=f"g {path}") | on.tsum.s()).set(task_id=f"c {path}")
    first = work.delay()
    with pytest.raises(TaskFailed, match="the first run"):
        first.get(TIMEOUT)
    second = work.delay()
    assert second.get(TIMEOUT) == 3
    with pytest.raises(TaskFailed, match="the first run"):
        first.get(TIMEOUT)


def test_two_runs_of_one_id_at_the_same_time(on: CanvasHarness):
    path = on.file()
    end = on.write_value.s(str(path))
    header = group(on.add.s(1, 1), on.add.s(2, 2)).set(task_id=f"twice {path}")
    results = [(header | on.tsum.s() | end).delay() for _ in range(2)]
    assert [result.get(TIMEOUT) for result in results] == [6, 6]
    assert lines(path, 2) == ["6", "6"]


# ── what is set for the whole, and ids of workflows ───────────────────────────────────────────


def test_options_of_the_whole_reach_all_that_is_part_of_it(on: CanvasHarness):
    path = on.file()
    noted = on.note_place.s(str(path))
    work = (
        (on.add.s(1, 1) | on.seen_in_place.si())
        .link(noted)
        .set(queue="other", headers={"tenant": "acme"})
    )
    assert work.delay().get(TIMEOUT)[:2] == ["other", "acme"]
    failing = group(on.fails.s(1), on.add.s(1, 1)).link_error(noted)
    failing.set(queue="other", headers={"tenant": "b"}).delay()
    own = (on.add.s(1, 1) | on.add.s(1)).link(noted.set(queue="default", headers={}))
    own.set(queue="other").delay()
    assert lines(path, 3) == ["default None", "other acme", "other b"]
    with pytest.raises(TaskFailed, match="Expired"):  # noted is part of what expires; not its end
        (on.add.s(1, 1) | on.add.s(1)).link(noted).link_error(noted).set(
            expires=-1, headers={"tenant": "late"}
        ).delay().get(TIMEOUT)
    assert "default late" in lines(path, 4)


def test_a_workflow_has_one_id(on: CanvasHarness):
    result = (on.add.s(1, 1) | group(on.seen.s(), on.seen.s()) | on.seen.si()).delay()
    assert result.workflow
    last, parent = result.get(TIMEOUT), result.parent
    assert {one[2] for one in (last, *parent.get(TIMEOUT))} == {result.workflow}
    assert parent.workflow == parent.parent.workflow == parent[0].workflow == result.workflow
    alone = on.seen.delay()
    assert (alone.workflow, alone.get(TIMEOUT)[2]) == ("", "")
    linked = on.seen.s().link(on.seen.s()).delay()
    assert linked.workflow == linked.children[0].workflow == linked.get(TIMEOUT)[2]
    assert on.seen.map([1]).delay().workflow


# ── values ────────────────────────────────────────────────────────────────────────────────────


def test_numbers_that_json_does_not_have_arrive_in_the_next_step(on: CanvasHarness):
    told = "float:nan float:inf float:-inf"
    for measured in (on.measured, on.measured_untyped):
        for shown in (on.shown, on.shown_untyped):
            assert (measured.s() | shown.s()).delay().get(TIMEOUT) == told
    joined = group(on.measured.s(), on.measured.s()) | on.shown_all.s()
    assert joined.delay().get(TIMEOUT) == "float float"
    found = on.measured.s().delay().get(TIMEOUT)
    assert (type(found["mean"]), found["most"]) == (float, float("inf"))
