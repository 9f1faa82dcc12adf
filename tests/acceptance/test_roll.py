"""A roll mixes versions: workers of the former code and of today's on the same queues.

Nothing is lost, and nothing is dead-lettered, whoever publishes, runs and joins.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rmqwork import App, TaskFailed, chord, group
from rmqwork._canvas.freeze import gathering
from rmqwork._topology import join_queues
from rmqwork._workflows.context import WorkflowContext
from rmqwork._workflows.flow import launch
from tests.acceptance.apps import rolling
from tests.acceptance.former_release import FormerRelease
from tests.acceptance.support import Ledger, Rabbit, Worker
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow]
TIMEOUT = 60.0
ROUNDS = 10
FORMER_PUBLISHER = """
import os
import rolling
from rmqwork import chord, group
app = rolling.make(os.environ["RMQWORK_BROKER"], "rpc://")
add, total, second_time, fan_out = (
    app.tasks[f"rolling.{name}"] for name in ("add", "total", "second_time", "fan_out"))
got = []
for n in range(10):
    got.append(add.s(n, 1).delay())
    got.append((add.s(n, 1) | second_time.s() | add.s(2)).delay())
    got.append(chord([add.s(n, k) for k in range(5)], total.s()).delay())
    got.append(fan_out.s(4).apply_async(queue="other"))
    got.append(group(add.s(n, 1), add.s(n, 2)).set(task_id=f"former {n}").delay())
print([one.get(60) for one in got])
app.close()
"""


@pytest.fixture
def release(tmp_path: Path) -> FormerRelease:
    folder = tmp_path / "former"
    folder.mkdir()
    return FormerRelease(folder)


@pytest.fixture
def app(vhost_url: str) -> Iterator[App]:
    with closing(rolling.make(vhost_url, "rpc://")) as app:
        yield app


def test_workers_of_both_share_queues_joins_and_results(
    vhost_url: str, app: App, release: FormerRelease, tmp_path: Path
) -> None:
    ledger, rabbit = Ledger(tmp_path / "ledger"), Rabbit(vhost_url)
    former_app = f"{release.add(Path(rolling.__file__))}:app"
    env = {"RMQWORK_RESULTS": "rpc://"}
    today = "tests.acceptance.apps.rolling:app"
    with (
        release.worker(vhost_url, ledger, "--prefetch", "4", app=former_app, **env) as former,
        Worker(vhost_url, ledger, "--prefetch", "4", app=today, env=env) as worker,
    ):
        until(lambda: (rabbit.depth("default") or (0, 0))[1] == 2, "both consume")
        check_today(app, ledger)
        printed = release.run(
            FORMER_PUBLISHER, RMQWORK_BROKER=vhost_url, WORK_LEDGER=str(ledger.path)
        )
        wanted: list[Any] = []
        for n in range(ROUNDS):
            wanted += [n + 1, n + 3, 5 * n + 10, 10, [n + 1, n + 2]]
        assert printed.strip() == repr(wanted)
        pids = {line["pid"] for line in ledger.lines("add")}
        assert len(pids) == 2, "both have run tasks"
        # 1 from what fails on purpose, for each round
        letters = rabbit.ready("default.dlq") + rabbit.ready("other.dlq")
        assert letters == ROUNDS
        assert rabbit.ready(join_queues.DEAD_LETTERS) == 0
        assert rabbit.ready("default") == rabbit.ready("other") == 0
        assert (former.stop(), worker.stop()) == (0, 0)
    rabbit.close()


def check_today(app: App, ledger: Ledger) -> None:
    """What today's code publishes, with all that is new on the wire."""
    task = {name.partition(".")[2]: one for name, one in app.tasks.items()}
    add, total, told = task["add"], task["total"], task["told"]
    results: list[tuple[Any, object]] = []
    maps, failing = [], []
    for n in range(ROUNDS):
        header = [add.s(n, k) for k in range(5)]
        whole = group(header).set(task_id="nightly", headers={"tenant": "a"}) | total.s()
        results += [
            (whole.set(queue="other").delay(), 5 * n + 10),
            (add.apply_async((n, 1), task_id=f"mine {n}"), n + 1),
            ((task["measured"].s() | task["shown"].s()).delay(), "[nan, inf]"),
            (task["fan_out"].s(3).set(queue="other", priority=2, task_id=f"f {n}").delay(), 6),
            ((add.s(n, 1) | task["second_time"].s()).link(add.s(1)).delay(), n + 1),
        ]
        maps.append(task["maybe"].map([2, 3]).delay())
        members = [task["fails"].s(n), add.s(1, 1)]
        failing.append(chord(members, total.s()).link_error(told.s()).delay())
    for result, wanted in results:
        assert result.get(TIMEOUT) == wanted
    for result in maps:  # the former code ends a map with the value of what was replaced
        assert result.get(TIMEOUT) in ([2, 103], 103)
    for n, result in enumerate(failing):
        with pytest.raises(TaskFailed, match=f"no {n}"):
            result.get(TIMEOUT)
    assert len(ledger.wait(ROUNDS, "told")) == ROUNDS


def test_what_only_one_of_them_knows_waits_for_it(
    vhost_url: str, app: App, release: FormerRelease, tmp_path: Path
) -> None:
    """The end of a map with replaced items is left to today's workers by a former one."""
    ledger, rabbit = Ledger(tmp_path / "ledger"), Rabbit(vhost_url)
    former_app = f"{release.add(Path(rolling.__file__))}:app"
    env = {"RMQWORK_RESULTS": "rpc://"}
    today = "tests.acceptance.apps.rolling:app"
    with Worker(vhost_url, ledger, app=today, env=env) as worker:
        rabbit.wait_consumed("default")
        result = app.tasks["rolling.maybe"].map([2, 3]).apply_async(queue="default")
        assert result.get(TIMEOUT) == [2, 103]
        assert worker.stop() == 0
    end = json.loads(gathering("rolling.maybe", "id-1", [b"2"]))["chain"][-1]
    end |= {"exchange": "", "key": "default"}
    with release.worker(vhost_url, ledger, app=former_app, **env) as former:
        app._sender.send_many(launch(end, b"[]", "", WorkflowContext("wf", 0.0)), 30)
        former.wait_log("is known up to version 1")
        with Worker(vhost_url, ledger, app=today, env=env) as worker:
            worker.wait_log("succeeded", task_id="id-1")
    assert rabbit.ready("default.dlq") == 0
    rabbit.close()
