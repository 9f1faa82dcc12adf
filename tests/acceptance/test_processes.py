"""Template and executors as real processes, without a broker."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rmqwork._executor.pipe_publisher import WINDOW
from rmqwork._worker.ipc.reports import pack_reports
from rmqwork._worker.ipc.wire import publication_of
from rmqwork._worker.processes.executor import State
from rmqwork.errors import ConfigurationError, Unroutable
from rmqwork.types import Failure, Reason, Success
from tests.acceptance.process_pool import HOLD, Pool, alive, parent_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's prctl and /proc")


class TestOutcomes:
    async def test_success_and_failure_of_both_kinds_of_tasks(self):
        async with Pool() as pool:
            executor = await pool.executor()

            fine = pool.start(executor, "noop")
            afine = pool.astart(executor, "anoop")
            bad = pool.start(executor, "fails_with", text="no such image")

            assert isinstance(await pool.outcome(fine), Success)
            assert isinstance(await pool.outcome(afine), Success)
            failure = await pool.outcome(bad)
            assert isinstance(failure, Failure)
            assert failure.reason is Reason.FAILED
            assert failure.evidence.type == "ValueError"
            assert failure.evidence.message == "no such image"
            assert "in fails_with" in failure.evidence.traceback
            assert not executor.outstanding
            await pool.until(lambda: not executor.started())

    async def test_as_many_tasks_run_at_once_as_there_are_threads(self):
        async with Pool() as pool:
            executor = await pool.executor(threads=4)

            numbers = [pool.start(executor, "meet") for _ in range(4)]

            for number in numbers:
                assert isinstance(await pool.outcome(number), Success)

    async def test_500_coroutine_tasks_run_at_once(self):
        async with Pool() as pool:
            executor = await pool.executor(async_tasks=500)

            executor.send_async([pool.delivery("ameet", count=500) for _ in range(500)])
            await pool.until(lambda: len(pool.outcomes) == 500)

            assert all(isinstance(outcome, Success) for outcome in pool.outcomes.values())

    @pytest.mark.parametrize("task", ["says_exit", "interrupts"])
    async def test_exit_and_interrupt_are_failures_of_the_task_alone(self, task):
        async with Pool() as pool:
            executor = await pool.executor()

            failure = await pool.outcome(pool.start(executor, task))
            after = await pool.outcome(pool.start(executor, "noop"))

            assert isinstance(failure, Failure)
            assert failure.evidence.type in ("SystemExit", "KeyboardInterrupt")
            assert isinstance(after, Success)

    async def test_an_exit_in_a_coroutine_task_does_not_end_the_loop(self):
        async with Pool() as pool:
            executor = await pool.executor()

            failure = await pool.outcome(pool.astart(executor, "asays_exit"))

            assert isinstance(failure, Failure)
            assert isinstance(await pool.outcome(pool.astart(executor, "anoop")), Success)

    async def test_bodies_of_10_mb_do_not_hold_up_the_loop_or_each_other(self):
        async with Pool() as pool:
            executor = await pool.executor(threads=2)
            size, count = 10_000_000, 10
            message = pool.delivery("size_is", size=size, filling="x" * size)
            batch = [("d", 1000 + n, *message[2:]) for n in range(count)]

            lags: list[float] = []
            start = time.monotonic()
            for delivery in batch:
                executor.send_threads([delivery])
            while len(pool.outcomes) < count:
                begin = time.monotonic()
                await asyncio.sleep(0)
                lags.append(time.monotonic() - begin)
                assert len(lags) < 10_000_000

            assert all(isinstance(outcome, Success) for outcome in pool.outcomes.values())
            # To wait for them would stop the loop for nearly all of that time.
            assert max(lags) < max(0.5, (time.monotonic() - start) / 2)
            assert executor.backlog == 0

    async def test_progress_is_told(self):
        async with Pool() as pool:
            executor = await pool.executor()

            number = pool.start(executor, "half_done")

            assert isinstance(await pool.outcome(number), Success)
            assert ("progress", number, 1.0, 2.0) in pool.messages


class TestPublishing:
    @pytest.mark.parametrize("kind", ["thread", "async"])
    async def test_a_task_publishes_over_the_workers_connection(self, kind):
        async with Pool() as pool:
            executor = await pool.executor()
            start, name = {
                "thread": (pool.start, "publishes"),
                "async": (pool.astart, "apublishes"),
            }[kind]

            outcome = await pool.outcome(start(executor, name))

            assert isinstance(outcome, Success)
            (request,) = [message for message in pool.messages if message[0] == "publish"]
            (publication,) = map(publication_of, request[2])
            assert publication.body == b"{}"

    async def test_a_publish_that_the_broker_returns_raises_in_the_task(self):
        async with Pool() as pool:
            executor = await pool.executor()
            pool.publish_answer = [Unroutable("no queue for 'x'")]

            outcome = await pool.outcome(pool.start(executor, "publishes"))

            assert isinstance(outcome, Failure)
            assert outcome.evidence.message == "no queue for 'x'"
            assert outcome.evidence.type.endswith("Unroutable")

    async def test_the_worker_process_has_a_bounded_number_of_an_executors_publications(self):
        async with Pool() as pool:
            executor = await pool.executor()
            pool.publish_answer = HOLD

            number = pool.start(executor, "publishes_many", count=3 * WINDOW)
            await pool.until(lambda: len(pool.publications) >= WINDOW)
            executor.ping(1)
            await pool.until(lambda: any(message[0] == "pong" for message in pool.messages))
            assert len(pool.publications) == WINDOW

            pool.answer_all()
            assert isinstance(await pool.outcome(number), Success)
            assert len(pool.publications) == 3 * WINDOW


class TestReports:
    @pytest.mark.parametrize(
        "data",
        [
            b"\xff\xff\xff\xff",
            pack_reports([("o", 1_000_000, "s", 0.1, None)]),
            pack_reports([("back", [1_000_000])]),
            pack_reports([("no such kind", 1)]),
        ],
        ids=["a frame of 4 GB", "another's outcome", "another's delivery", "an unknown kind"],
    )
    async def test_an_executor_that_says_what_none_of_ours_says_dies_and_others_do_not(
        self, data: bytes
    ):
        async with Pool() as pool:
            executor, other = await pool.executor(), await pool.executor()

            number = pool.start(executor, "reports", data=data.hex())
            death = await pool.death(executor)

            assert death.signal == signal.SIGKILL
            assert "sent what no executor sends" in death.text
            assert set(death.unfinished) == {number}
            assert isinstance(await pool.outcome(pool.start(other, "noop")), Success)

    async def test_a_process_id_in_a_report_is_nobodys_but_its_own(self):
        async with Pool() as pool:
            executor = await pool.executor()

            pool.start(executor, "reports", data=pack_reports([("ready", 1)]).hex())
            pool.start(executor, "reports", data=pack_reports([("pong", 77)]).hex())
            await pool.until(lambda: any(message[0] == "pong" for message in pool.messages))

            assert executor.pid is not None
            assert executor.pid > 1


class TestWhatTasksDoToTheirProcess:
    @pytest.mark.parametrize("task", ["pool", "process_pool", "terminates_a_child", "spawned"])
    async def test_tasks_may_have_processes_of_their_own(self, task):
        async with Pool() as pool:
            executor = await pool.executor()

            outcome = await pool.outcome(pool.start(executor, task))

            assert isinstance(outcome, Success), outcome

    async def test_closed_standard_streams_harm_nobody(self):
        async with Pool() as pool:
            executor = await pool.executor()

            closed = await pool.outcome(pool.start(executor, "closes_standard_streams"))

            assert isinstance(closed, Success)
            assert isinstance(await pool.outcome(pool.start(executor, "noop")), Success)
            executor.exit()
            assert (await pool.death(executor)).expected

    async def test_who_closes_our_descriptors_is_a_suspect(self):
        async with Pool() as pool:
            executor = await pool.executor()

            number = pool.start(executor, "closes_everything")

            death = await pool.death(executor)
            assert set(death.unfinished) == {number}
            assert not death.expected

    async def test_a_fork_that_returns_from_the_task_reports_once(self, tmp_path):
        pid_file = tmp_path / "pid"
        async with Pool() as pool:
            executor = await pool.executor(threads=1)

            outcome = await pool.outcome(pool.start(executor, "forks", pid_file=str(pid_file)))
            await pool.until(lambda: not alive(int(pid_file.read_text())))
            after = await pool.outcome(pool.start(executor, "noop"))

            assert isinstance(outcome, Success)
            assert isinstance(after, Success)
            assert pool.twice == []
            assert executor.state is State.READY

    async def test_memory_that_is_refused_is_a_failure_of_the_task_alone(self):
        async with Pool() as pool:
            executor = await pool.executor()

            failure = await pool.outcome(pool.start(executor, "eats", most=100_000_000))

            assert isinstance(failure, Failure)
            assert failure.evidence.type == "MemoryError"
            assert isinstance(await pool.outcome(pool.start(executor, "noop")), Success)

    @pytest.mark.skipif(sys.platform != "linux", reason="proc(5)")
    async def test_the_kernel_kills_an_executor_before_the_worker(self):
        async with Pool() as pool:
            executor = await pool.executor()
            outcome = await pool.outcome(pool.start(executor, "score"))
            assert isinstance(outcome, Success), outcome

    async def test_sigterm_is_the_workers_to_answer(self):
        async with Pool() as pool:
            executor = await pool.executor()

            os.kill(executor.pid, signal.SIGTERM)
            os.kill(executor.pid, signal.SIGINT)
            os.kill(pool.template.pid, signal.SIGTERM)
            os.kill(pool.template.pid, signal.SIGINT)

            assert isinstance(await pool.outcome(pool.start(executor, "pool")), Success)
            assert (await pool.executor()).state is State.READY


class TestDeath:
    async def test_a_killed_executor_leaves_exactly_what_it_had_started(self, tmp_path):
        async with Pool() as pool:
            executor = await pool.executor(threads=2, async_tasks=1)
            never = str(tmp_path / "never")
            done = pool.start(executor, "noop")
            await pool.outcome(done)
            running = [pool.start(executor, "until_file", path=never) for _ in range(2)]
            running.append(pool.astart(executor, "auntil_file", path=never))
            waiting = [pool.start(executor, "until_file", path=never) for _ in range(3)]
            waiting += [pool.astart(executor, "auntil_file", path=never) for _ in range(2)]
            await pool.until(lambda: set(executor.started()) == set(running))
            assert all(start <= time.monotonic() for start in executor.started().values())

            executor.kill()
            death = await pool.death(executor)

            assert death.signal == signal.SIGKILL
            assert death.exit_code is None
            assert death.text == "killed by SIGKILL"
            assert death.peak_memory > 5_000_000
            assert set(death.unfinished) == set(running)
            assert set(death.unstarted) == set(waiting)
            assert not death.expected

    async def test_last_words_are_the_log_of_the_run_and_where_it_crashed(self):
        async with Pool(RMQWORK_LOG_LEVEL="INFO") as pool:
            executor = await pool.executor()
            await pool.outcome(pool.start(executor, "says", word="apple"))

            number = pool.start(executor, "says_and_dies", word="pear")
            death = await pool.death(executor)

            words = death.words.since(death.unfinished[number])
            assert words.startswith("Fatal Python error: Segmentation fault\n\nCurrent thread")
            assert " in says_and_dies" in words
            assert " in _receive" not in words, "of another thread"
            assert words.endswith("WARNING the last word is pear")
            assert "apple" not in words

    @pytest.mark.parametrize(
        ("task", "exit_code", "number"),
        [("leaves", 9, None), ("segfaults", None, signal.SIGSEGV)],
    )
    async def test_an_outcome_that_was_written_is_seen_before_the_death(
        self, task, exit_code, number
    ):
        async with Pool() as pool:
            executor = await pool.executor(threads=1)
            arguments = {"code": 9} if task == "leaves" else {}
            batch = [
                pool.delivery("noop"),
                pool.delivery(task, **arguments),
                pool.delivery("noop"),
            ]
            fine, deadly, later = (message[1] for message in batch)

            executor.send_threads(batch)
            # This loop does not turn until the process is dead and reaped.
            deadline = time.monotonic() + 20
            while alive(executor.pid):
                assert time.monotonic() < deadline
            # Even if the news of the death is read first, what it has written comes first.
            assert select.select([pool.template._sock], [], [], 20)[0]
            pool.template._pipe.drain()
            death = await pool.death(executor)

            assert pool.order == [("outcome", fine), ("death", executor.id)]
            assert set(death.unfinished) == {deadly}
            assert death.unstarted == (later,)
            assert (death.exit_code, death.signal) == (exit_code, number)

    async def test_a_grandchild_that_survives_does_not_hide_the_death(self, tmp_path):
        pid_file = tmp_path / "pid"
        async with Pool() as pool:
            executor = await pool.executor(threads=1)

            number = pool.start(executor, "leaves_a_grandchild", pid_file=str(pid_file))
            death = await pool.death(executor)

            grandchild = int(pid_file.read_text())
            assert alive(grandchild)
            assert parent_of(grandchild) == pool.template.pid  # which will reap it
            os.kill(grandchild, signal.SIGKILL)
            await pool.until(lambda: not Path(f"/proc/{grandchild}").exists())  # reaped
            assert death.exit_code == 5
            assert set(death.unfinished) == {number}

    async def test_a_killed_executor_takes_the_pool_of_its_task_along(self, tmp_path):
        pid_file = tmp_path / "pid"
        async with Pool() as pool:
            executor = await pool.executor()
            pool.start(executor, "pool_for_ever", pid_file=str(pid_file))
            await pool.until(lambda: pid_file.exists() and pid_file.read_text())

            executor.kill()
            await pool.death(executor)

            await pool.until(lambda: not alive(int(pid_file.read_text())))

    async def test_a_task_that_holds_the_gil_can_be_killed_and_costs_the_worker_nothing(
        self, tmp_path
    ):
        pid_file = tmp_path / "pid"
        async with Pool() as pool:
            executor = await pool.executor()
            number = pool.start(executor, "holds_the_gil", pid_file=str(pid_file))
            await pool.until(lambda: number in executor.started() and pid_file.exists())

            executor.ping(1)
            executor.kill()
            death = await pool.death(executor)

            assert ("pong", 1) not in pool.messages
            assert set(death.unfinished) == {number}

    async def test_a_dead_template_is_noticed_and_its_executors_die_with_it(self, tmp_path):
        async with Pool() as pool:
            executor = await pool.executor()
            number = pool.start(executor, "until_file", path=str(tmp_path / "never"))
            await pool.until(lambda: number in executor.started())

            os.kill(pool.template.pid, signal.SIGKILL)
            death = await pool.death(executor)

            assert pool.template_death == "the template process ended by signal 9"
            assert set(death.unfinished) == {number}
            await pool.until(lambda: not alive(executor.pid))
            assert not pool.template.alive

    @pytest.mark.parametrize("with_template", [False, True])
    async def test_a_killed_worker_leaves_nobody_behind(self, tmp_path, with_template):
        """Also not a task in C code that holds the GIL; and not the pool of a task, if there is a
        template to end it."""
        script = str(Path(__file__).with_name("process_pool.py"))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        worker = await asyncio.create_subprocess_exec(
            sys.executable, script, str(tmp_path), env=environment
        )
        deadline = time.monotonic() + 30
        while not (tmp_path / "ready").exists():
            assert worker.returncode is None
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        child = int((tmp_path / "child").read_text())
        assert all(map(alive, [*pids, child]))

        if with_template:
            worker.send_signal(signal.SIGSTOP)  # it is not to do anything about it
            os.kill(pids[0], signal.SIGKILL)
        else:
            pids.append(child)
        worker.kill()
        await worker.wait()

        deadline = time.monotonic() + 20
        while left := [pid for pid in pids if alive(pid)]:
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.01)
        if with_template:  # the template that would end it is dead; perhaps its executor has
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


class TestStart:
    async def test_an_app_that_cannot_be_imported_says_why(self, tmp_path):
        (tmp_path / "broken_app.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
        pool = Pool("broken_app:app", PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
        async with pool:
            with pytest.raises(ConfigurationError) as caught:
                await pool.template.manifest()

        text = str(caught.value)
        assert text.startswith("'broken_app' cannot be imported: ZeroDivisionError")
        assert "\nTraceback" in text
        assert "broken_app.py" in text
        assert "in f\n" in text
        assert text.endswith("ZeroDivisionError: division by zero")
        assert "importlib" not in text
        assert "loading.py" not in text
        assert pool.template_death is None

    @pytest.mark.parametrize("preload", [True, False])
    @pytest.mark.parametrize(
        ("app", "says"),
        [
            ("no_such_module:app", "there is no module 'no_such_module'"),
            ("process_app:nothing", "module 'process_app' has no 'nothing'"),
            ("process_app:square", "is of type function, not a rmqwork.App"),
        ],
    )
    async def test_a_wrong_name_says_which(self, app, says, preload):
        async with Pool(app, preload=preload) as pool:
            with pytest.raises(ConfigurationError, match=says):
                await pool.template.manifest()

    @pytest.mark.parametrize("preload", [True, False])
    async def test_a_process_that_dies_while_importing_is_noticed(self, tmp_path, preload):
        (tmp_path / "deadly_app.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
        path = os.pathsep.join([str(tmp_path), *sys.path])
        async with Pool("deadly_app:app", preload=preload, PYTHONPATH=path) as pool:
            with pytest.raises(ConfigurationError, match="ended by signal 11"):
                await pool.template.manifest()

    async def test_threads_at_import_forbid_forks_and_are_named(self):
        async with Pool(PROCESS_APP_THREAD="1") as pool:
            await pool.template.manifest()

            executor = pool.template.fork(1, 1)
            death = await pool.death(executor)

            assert death.pid is None
            assert "threads (poller)" in death.text
            assert "--no-preload" in death.text

    async def test_without_preload_each_executor_imports_the_app(self):
        async with Pool(preload=False, PROCESS_APP_THREAD="1") as pool:
            manifest = await pool.template.manifest()
            executor = await pool.executor()

            assert manifest["tasks"]
            assert isinstance(await pool.outcome(pool.start(executor, "noop")), Success)

    async def test_a_lifespan_that_fails_is_told_and_nothing_runs(self):
        async with Pool(PROCESS_APP_LIFESPAN="fails") as pool:
            await pool.template.manifest()

            executor = pool.template.fork(1, 1)
            death = await pool.death(executor)

            assert death.text.startswith("the lifespan failed:\nTraceback")
            assert "process.py" not in death.text
            assert death.text.endswith("RuntimeError: no database here")
            assert "in fails" in death.text

    @pytest.mark.parametrize("kind", ["sync", "async"])
    async def test_the_lifespan_gives_the_state_and_ends_in_an_orderly_exit(self, tmp_path, kind):
        log = tmp_path / "log"
        async with Pool(PROCESS_APP_LIFESPAN=kind, PROCESS_APP_LOG=str(log)) as pool:
            executor = await pool.executor()
            assert isinstance(await pool.outcome(pool.start(executor, "state")), Success)

            executor.exit()
            death = await pool.death(executor)

        assert death.expected
        assert log.read_text() == "lifespan\natexit\n"


class TestLeaving:
    async def test_give_back_returns_exactly_what_was_not_started(self, tmp_path):
        async with Pool() as pool:
            executor = await pool.executor(threads=2, async_tasks=1)
            go = tmp_path / "go"
            running = [pool.start(executor, "until_file", path=str(go)) for _ in range(2)]
            running.append(pool.astart(executor, "auntil_file", path=str(go)))
            waiting = [pool.start(executor, "noop") for _ in range(50)]
            waiting += [pool.astart(executor, "anoop") for _ in range(50)]
            await pool.until(lambda: set(executor.started()) == set(running))

            executor.give_back()
            waiting += [pool.start(executor, "noop"), pool.astart(executor, "anoop")]
            await pool.until(lambda: len(pool.back) == len(waiting))

            assert sorted(pool.back) == sorted(waiting)
            assert pool.outcomes == {}
            assert set(executor.outstanding) == set(running)
            go.touch()
            for number in running:
                assert isinstance(await pool.outcome(number), Success)

    async def test_chosen_deliveries_come_back_and_the_others_run(self, tmp_path):
        async with Pool() as pool:
            executor = await pool.executor(threads=1)
            go = tmp_path / "go"
            running = pool.start(executor, "until_file", path=str(go))
            batch = [pool.delivery("noop") for _ in range(4)]
            executor.send_threads(batch)
            first, second, third, fourth = (message[1] for message in batch)
            await pool.until(lambda: running in executor.started())

            executor.give_back([second, fourth, running])
            executor.ping(1)
            await pool.until(lambda: ("pong", 1) in pool.messages)
            go.touch()
            for number in (running, first, third):
                assert isinstance(await pool.outcome(number), Success)
            await pool.until(lambda: not executor.outstanding)

            assert sorted(pool.back) == [second, fourth]

    @pytest.mark.parametrize("lanes", [(0, 2), (2, 0), (0, 0)])
    async def test_one_without_tasks_of_a_kind_leaves_at_once(self, lanes):
        async with Pool() as pool:
            executor = await pool.executor(*lanes)
            executor.exit()
            death = await pool.death(executor)
            assert death.expected
            assert (death.exit_code, death.signal) == (0, None), "it had to be killed"

    async def test_exit_finishes_what_runs_and_gives_back_the_rest(self, tmp_path):
        async with Pool() as pool:
            executor = await pool.executor(threads=1, async_tasks=1)
            go = tmp_path / "go"
            running = [
                pool.start(executor, "until_file", path=str(go)),
                pool.astart(executor, "auntil_file", path=str(go)),
            ]
            await pool.until(lambda: set(executor.started()) == set(running))
            waiting = [pool.start(executor, "noop"), pool.astart(executor, "anoop")]

            executor.exit()
            await pool.until(lambda: sorted(pool.back) == waiting)
            go.touch()
            death = await pool.death(executor)

            assert death.expected
            assert not death.unfinished
            assert not death.unstarted
            assert all(isinstance(pool.outcomes[number], Success) for number in running)

    async def test_control_is_answered_while_all_threads_are_busy(self):
        async with Pool() as pool:
            executor = await pool.executor(threads=2)
            numbers = [pool.start(executor, "until_stopping") for _ in range(2)]
            await pool.until(lambda: len(executor.started()) == 2)

            executor.ping(7)
            await pool.until(lambda: ("pong", 7) in pool.messages)
            executor.stopping()

            for number in numbers:
                assert isinstance(await pool.outcome(number), Success)

    @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
    async def test_coroutine_tasks_run_on_the_loop_that_is_wanted(self, loop):
        async with Pool(RMQWORK_EVENT_LOOP=loop) as pool:
            executor = await pool.executor(async_tasks=3)
            number = pool.astart(executor, "runs_on", module=loop)
            assert isinstance(await pool.outcome(number), Success)

    @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
    async def test_coroutine_tasks_are_cancelled_one_or_all(self, tmp_path, loop):
        async with Pool(RMQWORK_EVENT_LOOP=loop) as pool:
            executor = await pool.executor(async_tasks=3)
            never = str(tmp_path / "never")
            one, *rest = [pool.astart(executor, "auntil_file", path=never) for _ in range(3)]
            await pool.until(lambda: len(executor.started()) == 3)

            executor.cancel(one, "revoked")
            await pool.until(lambda: pool.cancelled == [one])
            executor.cancel_async()
            await pool.until(lambda: sorted(pool.cancelled) == [one, *rest])

            assert isinstance(await pool.outcome(pool.astart(executor, "anoop")), Success)

    async def test_an_orderly_exit_waits_for_leaks_but_not_for_ever(self):
        async with Pool() as pool:
            executor = await pool.executor()
            assert isinstance(await pool.outcome(pool.start(executor, "leaks")), Success)

            executor.exit()
            death = await pool.death(executor)

            assert death.expected

    async def test_what_a_task_printed_is_flushed(self, capfd):
        async with Pool() as pool:
            executor = await pool.executor()
            await pool.outcome(pool.start(executor, "prints", text="all of it"))

            executor.exit()
            await pool.death(executor)

        assert "all of it" in capfd.readouterr().out

    async def test_what_the_import_printed_is_there_once(self, capfd):
        async with Pool() as pool:
            executors = [await pool.executor(), await pool.executor()]
            for executor in executors:
                executor.exit()
                await pool.death(executor)

        assert capfd.readouterr().out.count("the app is imported") == 1

    async def test_closing_kills_what_is_left_and_tells(self, tmp_path):
        pool = Pool()
        executor = await pool.executor()
        number = pool.start(executor, "until_file", path=str(tmp_path / "never"))
        await pool.until(lambda: number in executor.started())

        await pool.template.close()

        assert set(pool.deaths[executor.id].unfinished) == {number}
        assert pool.template_death is None
        assert not alive(pool.template.pid)


class TestTimeLimits:
    @pytest.mark.parametrize("kind", ["thread", "async"])
    async def test_a_task_is_stopped_at_its_time_limit(self, kind):
        async with Pool() as pool:
            executor = await pool.executor(threads=1)
            start, name = {"thread": (pool.start, "slow"), "async": (pool.astart, "aslow")}[kind]
            begin = time.monotonic()

            outcome = await pool.outcome(start(executor, name))

            assert isinstance(outcome, Failure)
            assert outcome.reason is Reason.TIME_LIMIT
            assert 0.2 <= time.monotonic() - begin < 15
            assert isinstance(await pool.outcome(pool.start(executor, "noop")), Success)
