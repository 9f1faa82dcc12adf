"""Runs in real executors: none sees, ends or disturbs another."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

import pytest

from rmqwork.errors import ConfigurationError
from rmqwork.types import Failure, Reason, Success
from tests.acceptance.process_pool import Pool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's /proc")

RUNS = int(os.environ.get("RMQWORK_TEST_RUNS", "600"))
"""Of each kind; 10,000 for the whole proof."""
EXITS = [
    "gather",
    "interrupt",
    "group",
    "task",
    "call_soon",
    "call_later",
    "done_callback",
    "stops_the_loop",
    "cancels_itself",
]


def pool(**env: str) -> Pool:
    return Pool("runs_app:app", **env)


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


class TestContexts:
    @pytest.mark.parametrize("threads", [1, 4])
    async def test_every_run_begins_with_what_the_lifespan_left(self, threads):
        async with pool() as runs:
            executor = await runs.executor(threads, async_tasks=2)

            executor.send_threads([runs.delivery("sets", mark=f"t{n}") for n in range(RUNS)])
            executor.send_async([runs.delivery("asets", mark=f"c{n}") for n in range(RUNS)])
            await runs.until(lambda: len(runs.outcomes) == 2 * RUNS, timeout=300)

            assert [o for o in runs.outcomes.values() if not isinstance(o, Success)] == []

    @pytest.mark.parametrize("threads", [0, 1, 2])
    async def test_a_lifespan_with_a_task_group_is_left_where_it_was_entered(
        self, tmp_path, threads
    ):
        log = tmp_path / "log"
        async with pool(RUNS_APP_LOG=str(log)) as runs:
            executor = await runs.executor(threads)
            executor.exit()
            death = await runs.death(executor)

        assert death.expected
        assert log.read_text() == "left"
        assert [m for m in runs.messages if m[0] == "warning"] == []


class TestExits:
    @pytest.mark.parametrize("threads", [1, 2])
    @pytest.mark.parametrize("how", EXITS)
    async def test_an_exit_of_a_child_or_a_callback_fails_its_task_alone(
        self, tmp_path, how, threads
    ):
        async with pool() as runs:
            executor = await runs.executor(threads, async_tasks=3)
            beside = runs.astart(executor, "neighbour", path=str(tmp_path / "end"))

            failed = await runs.outcome(runs.astart(executor, "exits", how=how))
            (tmp_path / "end").touch()

            assert isinstance(failed, Failure), failed
            assert failed.evidence.type in {
                "interrupt": ["KeyboardInterrupt"],
                "cancels_itself": ["asyncio.exceptions.CancelledError"],
            }.get(how, ["SystemExit"])
            assert isinstance(await runs.outcome(beside), Success)
            assert runs.deaths == {}

    @pytest.mark.parametrize("how", ["gather", "interrupt", "group", "stops_the_loop"])
    async def test_so_it_does_on_uvloop_where_the_task_waits_for_it(self, tmp_path, how):
        pytest.importorskip("uvloop")
        async with pool(RMQWORK_EVENT_LOOP="uvloop") as runs:
            executor = await runs.executor(async_tasks=3)
            beside = runs.astart(executor, "neighbour", path=str(tmp_path / "end"))

            failed = await runs.outcome(runs.astart(executor, "exits", how=how))
            (tmp_path / "end").touch()

            assert isinstance(failed, Failure), failed
            assert isinstance(await runs.outcome(beside), Success)
            assert runs.deaths == {}

    @pytest.mark.parametrize("nested", [False, True])
    async def test_a_rejection_in_a_task_group_is_one(self, nested):
        async with pool() as runs:
            executor = await runs.executor()

            failure = await runs.outcome(runs.astart(executor, "rejects", nested=nested))

            assert isinstance(failure, Failure)
            assert failure.reason is Reason.REJECTED
            assert failure.evidence.message == "no such customer"


class TestMainThread:
    @pytest.mark.parametrize(("threads", "isolated"), [(1, False), (1, True), (3, True)])
    @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
    async def test_it_runs_sync_tasks_and_gives_each_its_signals(
        self, tmp_path, threads, isolated, loop
    ):
        pytest.importorskip("uvloop")
        async with pool(RMQWORK_EVENT_LOOP=loop) as runs:
            executor = await runs.executor(threads, isolated=isolated)

            first = runs.start(executor, "main_thread", path=str(tmp_path / "pid"))
            assert isinstance(await runs.outcome(first), Success), runs.outcomes
            second = runs.start(executor, "handlers", path=str(tmp_path / "handlers"))
            assert isinstance(await runs.outcome(second), Success)
            child = await runs.outcome(runs.astart(executor, "asubprocess"))
            executor.exit()
            death = await runs.death(executor)

        assert json.loads((tmp_path / "handlers").read_text()) == {
            "term": False,
            "alarm": True,
            "timer": 0.0,
            "main": True,
        }
        assert isinstance(child, Success)
        assert death.expected

    @pytest.mark.parametrize("grouped", [False, True])
    async def test_a_time_limit_ends_a_run_there(self, grouped):
        async with pool() as runs:
            executor = await runs.executor(threads=1)

            failure = await runs.outcome(runs.start(executor, "spins", grouped=grouped))
            after = await runs.outcome(runs.start(executor, "sets", mark="after"))

            assert isinstance(failure, Failure)
            assert failure.reason is Reason.TIME_LIMIT
            assert isinstance(after, Success)

    async def test_signals_that_are_the_workers_do_not_end_it(self, tmp_path):
        async with pool() as runs:
            executor = await runs.executor(threads=1)
            end, started = tmp_path / "end", tmp_path / "started"
            number = runs.start(executor, "until_exists", path=str(end), beside=str(started))
            await runs.until(started.exists)

            assert executor.pid is not None
            os.kill(executor.pid, signal.SIGTERM)
            os.kill(executor.pid, signal.SIGINT)
            end.touch()

            assert isinstance(await runs.outcome(number), Success)

    async def test_what_an_isolated_process_gets_beside_runs_in_threads(self, tmp_path):
        async with pool() as runs:
            executor = await runs.executor(threads=2, isolated=True)
            end, names = tmp_path / "end", [tmp_path / "one", tmp_path / "two"]

            for name in names:
                runs.start(executor, "until_exists", path=str(end), beside=str(name))
            await runs.until(lambda: all(name.exists() and name.read_text() for name in names))
            end.touch()
            await runs.until(lambda: len(runs.outcomes) == 2)

            kinds = sorted(name.read_text().partition("-")[0] for name in names)
            assert kinds == ["MainThread", "task"]

    async def test_it_waits_for_the_task_that_runs_before_it_leaves(self, tmp_path):
        async with pool(RUNS_APP_LOG=str(tmp_path / "left")) as runs:
            executor = await runs.executor(threads=1)
            end, started = tmp_path / "end", tmp_path / "started"
            number = runs.start(executor, "until_exists", path=str(end), beside=str(started))
            await runs.until(started.exists)

            executor.exit()
            quick = await runs.outcome(runs.astart(await runs.executor(1), "asubprocess"))
            assert isinstance(quick, Success)
            assert not (tmp_path / "left").exists()
            end.touch()

            assert isinstance(await runs.outcome(number), Success)
            assert (await runs.death(executor)).expected


class TestOutput:
    async def test_a_line_is_seen_when_it_is_printed(self, capfd):
        async with pool() as runs:
            executor = await runs.executor()
            await runs.outcome(runs.start(executor, "prints", text="seen at once"))

            assert "seen at once\n" in capfd.readouterr().out

    async def test_extra_fields_are_in_the_line_beside_ours(self, capfd):
        async with pool(RMQWORK_LOG_LEVEL="INFO", RMQWORK_LOG_FORMAT="json") as runs:
            executor = await runs.executor()
            await runs.outcome(number := runs.start(executor, "logs"))

        [line] = [line for line in lines(capfd.readouterr().err) if line["event"] == "paid"]
        assert line["amount"] == 4711
        assert line["extra_event"] == "mine"
        assert (line["task_id"], line["extra_task_id"]) == (f"id-{number}", "x")
        assert line["extra_name"] == "y"

    @pytest.mark.parametrize("where", ["basic", "dict", "lifespan"])
    async def test_the_apps_own_set_up_of_logging_holds(self, capfd, where):
        async with pool(
            RMQWORK_LOG_LEVEL="INFO", RMQWORK_LOG_FORMAT="json", RUNS_APP_LOGGING=where
        ) as runs:
            executor = await runs.executor()
            await runs.outcome(runs.start(executor, "logs"))

        err = capfd.readouterr().err
        assert err.count("mine INFO paid") == 1
        assert err.count("mine DEBUG details") == 1
        assert [line for line in lines(err) if line["event"] in ("paid", "details")] == []


class TestSockets:
    async def test_a_connection_of_the_import_forbids_forks_and_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            async with pool(RUNS_APP_CONNECTS=str(port)) as runs:
                with pytest.raises(ConfigurationError) as refused:
                    await runs.template.manifest()

        for word in (f"127.0.0.1:{port}", "lifespan", "--no-preload", "RMQWORK_FORK_SOCKETS=allow"):
            assert word in str(refused.value)

    async def test_it_may_be_allowed(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            async with pool(RUNS_APP_CONNECTS=port, RMQWORK_FORK_SOCKETS="allow") as runs:
                executor = await runs.executor()
                assert isinstance(
                    await runs.outcome(runs.start(executor, "handlers", path=os.devnull)), Success
                )
                assert port in runs.warnings[0]

    async def test_without_preload_each_executor_has_its_own(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            async with Pool("runs_app:app", preload=False, RUNS_APP_CONNECTS=port) as runs:
                assert await runs.executor()

    async def test_datagrams_are_only_a_warning(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
            async with pool(RUNS_APP_DATAGRAMS=str(port)) as runs:
                await runs.executor()

                assert len(runs.warnings) == 1
                assert f"127.0.0.1:{port}" in runs.warnings[0]

    async def test_sockets_that_nobody_answers_are_innocent(self):
        async with pool(RUNS_APP_INNOCENT="1") as runs:
            await runs.executor()

            assert runs.warnings == []
