"""A real template process: what it says of its app, forks and reports.

`tests/acceptance/test_processes.py` has what tasks, signals and lifespans do to both kinds of
processes.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from rmqwork._worker.processes.executor import State
from rmqwork._worker.processes.template import TemplateKilled
from rmqwork.errors import ConfigurationError
from rmqwork.types import Success
from tests.acceptance.process_pool import Pool, alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's prctl and /proc")


async def test_it_tells_the_manifest_and_forks_executors_that_it_knows() -> None:
    async with Pool() as pool:
        manifest = await pool.template.manifest()
        one, two = await pool.executor(), await pool.executor()

        assert manifest["app"] == "p"
        assert await pool.template.manifest() == manifest  # however often it is asked
        assert pool.template.alive
        assert pool.template.executors == {one.id: one, two.id: two}
        assert one.id != two.id
        assert len({one.pid, two.pid, pool.template.pid, os.getpid()}) == 4
        assert all(alive(pid) for pid in (one.pid, two.pid) if pid is not None)

    assert pool.template.executors == {}
    assert set(pool.deaths) == {one.id, two.id}
    assert pool.template_death is None  # it was told to end
    assert not alive(pool.template.pid)


async def test_nothing_is_forked_before_the_app_is_known() -> None:
    async with Pool() as pool:
        with pytest.raises(RuntimeError, match=r"await Template\.manifest\(\) first"):
            pool.template.fork(1, 1)


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("no_such_module_anywhere:app", "no_such_module_anywhere"),
        ("process_app:nothing", "nothing"),
    ],
)
async def test_an_app_that_cannot_be_imported_is_an_error_that_names_it(
    app: str, says: str
) -> None:
    async with Pool(app) as pool:
        with pytest.raises(ConfigurationError, match=says):
            await pool.template.manifest()

    assert pool.template_death is None  # that was the news already


async def test_one_that_is_killed_while_it_imports_may_be_tried_again() -> None:
    async with Pool() as pool:
        pool.template._process.send_signal(signal.SIGSTOP)
        pool.template._process.kill()

        with pytest.raises(TemplateKilled, match="signal 9"):
            await pool.template.manifest()

    assert pool.template_death is None


async def test_its_death_is_told_once_and_its_executors_follow() -> None:
    async with Pool() as pool:
        one, two = await pool.executor(), await pool.executor()

        os.kill(pool.template.pid, signal.SIGKILL)
        await pool.until(lambda: len(pool.deaths) == 2)

        assert pool.template_death == "the template process ended by signal 9"
        assert pool.deaths[one.id].signal == pool.deaths[two.id].signal == signal.SIGKILL
        assert not pool.template.alive
        late = pool.template.fork(1, 1)  # the order comes too late
        await pool.until(lambda: late.id in pool.deaths)
        assert pool.deaths[late.id].error == "the template process is dead"


async def test_a_signal_ends_one_executor_and_no_other() -> None:
    async with Pool() as pool:
        executor, bystander = await pool.executor(), await pool.executor()

        pool.template.kill(executor.id)
        death = await pool.death(executor)

        assert (death.pid, death.signal) == (executor.pid, signal.SIGKILL)
        assert executor.state is State.DEAD
        assert pool.template.executors == {bystander.id: bystander}
        pool.template.kill(executor.id)  # nobody is meant any more
        assert isinstance(await pool.outcome(pool.start(bystander, "noop")), Success)


async def test_an_executor_takes_its_children_along_even_when_it_ends_well_if_that_is_wished(
    tmp_path: Path,
) -> None:
    async with Pool() as pool:
        executor = await pool.executor()
        await pool.outcome(pool.start(executor, "leaves_a_child", pid_file=str(tmp_path / "pid")))
        child = int((tmp_path / "pid").read_text())
        assert alive(child)

        pool.template.kill_with_children(executor.id)
        executor.exit()
        death = await pool.death(executor)

        assert (death.exit_code, death.expected) == (0, True)
        await pool.until(lambda: not alive(child))


async def test_closing_one_that_was_never_asked_leaves_nobody() -> None:
    pool = Pool()

    await pool.template.close()

    assert not alive(pool.template.pid)
