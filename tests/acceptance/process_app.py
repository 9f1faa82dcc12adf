"""The app that `test_processes.py` runs in real executors."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import gc
import logging
import multiprocessing
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from rmqwork import App, Context

app = App("p", broker="memory://")

if os.environ.get("PROCESS_APP_THREAD"):
    threading.Thread(target=time.sleep, args=(3600,), name="poller", daemon=True).start()


def note(what: str) -> None:
    """Leave a line in the log of ends, if the test wants one."""
    if log := os.environ.get("PROCESS_APP_LOG"):
        with open(log, "a") as file:
            file.write(f"{what}\n")


print("the app is imported", end="")  # stays in the buffer
atexit.register(note, "atexit")

match os.environ.get("PROCESS_APP_LIFESPAN"):
    case "fails":

        @app.lifespan
        @contextmanager
        def fails() -> Iterator[None]:
            raise RuntimeError("no database here")
            yield

    case "sync":

        @app.lifespan
        @contextmanager
        def lives() -> Iterator[str]:
            yield "the state"
            note("lifespan")

    case "async":

        @app.lifespan
        @asynccontextmanager
        async def alives() -> AsyncIterator[str]:
            await asyncio.sleep(0)
            yield "the state"
            await asyncio.sleep(0)
            note("lifespan")


@app.task
def noop() -> None: ...


@app.task
async def anoop() -> None: ...


@app.task
def fails_with(text: str) -> None:
    raise ValueError(text)


@app.task
def state(ctx: Context) -> None:
    assert ctx.state == "the state"


meeting = threading.Barrier(4)


@app.task
def meet() -> None:
    meeting.wait(20)


arrived = 0
everybody = asyncio.Event()


@app.task
async def ameet(count: int) -> None:
    global arrived
    arrived += 1
    if arrived == count:
        everybody.set()
    await asyncio.wait_for(everybody.wait(), 20)


@app.task
def until_file(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.01)


@app.task
async def auntil_file(path: str) -> None:
    while not os.path.exists(path):  # noqa: ASYNC240 -- it comes from another process
        await asyncio.sleep(0.01)


@app.task
async def runs_on(module: str) -> None:
    assert type(asyncio.get_running_loop()).__module__.startswith(module)


@app.task
def until_stopping(ctx: Context) -> None:
    assert ctx.stopping.wait(20)


@app.task
def half_done(ctx: Context) -> None:
    ctx.progress(1, 2)


@app.task
def publishes() -> None:
    noop.delay()


@app.task
async def apublishes() -> None:
    await anoop.adelay()


@app.task
def size_is(size: int, filling: str) -> None:
    assert len(filling) == size


def square(x: int) -> int:
    return x * x


@app.task
def pool() -> None:
    with multiprocessing.Pool(2) as workers:
        assert workers.map(square, range(5)) == [0, 1, 4, 9, 16]


@app.task
def process_pool() -> None:
    with ProcessPoolExecutor(2) as workers:
        assert list(workers.map(square, range(5))) == [0, 1, 4, 9, 16]


@app.task
def spawned() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "print(input('') if 0 else 'hello')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "hello\n"
    assert sys.stdin.read() == ""


@app.task
def leaves(code: int) -> None:
    os._exit(code)


@app.task
def says_exit() -> None:
    sys.exit(3)


@app.task
async def asays_exit() -> None:
    sys.exit(3)


@app.task
def interrupts() -> None:
    raise KeyboardInterrupt


@app.task
def segfaults() -> None:
    ctypes.string_at(0)


@app.task
def eats(most: int) -> None:
    """More memory than its process may have."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + most, limits[1]))
    try:
        bytearray(2 * most)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@app.task
def score() -> None:
    """How willingly the kernel kills this process, beside its parent's parent."""
    worker = int(Path(f"/proc/{os.getppid()}/status").read_text().split("PPid:")[1].split()[0])
    of_worker = int(Path(f"/proc/{worker}/oom_score_adj").read_text())
    assert int(Path("/proc/self/oom_score_adj").read_text()) > min(of_worker, 999)


@app.task
def says_and_dies(word: str) -> None:
    logging.getLogger("shop").warning("the last word is %s", word)
    ctypes.string_at(0)


@app.task
def says(word: str) -> None:
    logging.getLogger("shop").warning("a word before is %s", word)


@app.task
def closes_standard_streams() -> None:
    for fd in range(3):
        os.close(fd)


@app.task
def closes_everything() -> None:
    os.closerange(3, 100)


@app.task
def forks(pid_file: str) -> None:
    if child := os.fork():  # both return
        Path(pid_file).write_text(str(child))


@app.task
def terminates_a_child() -> None:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    child.terminate()
    child.join(10)
    assert child.exitcode == -15


@app.task
def leaves_a_grandchild(pid_file: str) -> None:
    """In a session of its own and with all our descriptors, as a fork behind Python's back has."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # the listing's own, closed by now
            os.set_inheritable(fd, True)
    grandchild = subprocess.Popen(["sleep", "60"], close_fds=False, start_new_session=True)
    Path(pid_file).write_text(str(grandchild.pid))
    os._exit(5)


@app.task
def leaves_a_child(pid_file: str) -> None:
    """In this process's group."""
    Path(pid_file).write_text(str(subprocess.Popen(["sleep", "600"]).pid))


@app.task
def pool_for_ever(pid_file: str) -> None:
    workers = multiprocessing.Pool(1)
    Path(pid_file).write_text(str(workers.apply(os.getpid)))
    workers.apply(time.sleep, (600,))


@app.task
def holds_the_gil(pid_file: str) -> None:
    Path(pid_file).write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(600)


@app.task
def leaks() -> None:
    """Threads and children that nobody joins."""
    threading.Thread(target=time.sleep, args=(0.2,)).start()
    ProcessPoolExecutor(1).submit(square, 2).result()
    multiprocessing.Process(target=time.sleep, args=(600,), daemon=True).start()


@app.task(time_limit=0.2)
def slow() -> None:
    while True:
        time.sleep(0.01)


@app.task(time_limit=0.2)
async def aslow() -> None:
    await asyncio.sleep(60)


@app.task
def prints(text: str) -> None:
    print(text, end="")  # stays in the buffer until somebody flushes


@app.task
def reports(data: str) -> None:
    """Write bytes, given in hex, to the worker process, as a broken library might."""
    (writer,) = (one for one in gc.get_objects() if type(one).__name__ == "ControlWriter")
    writer._sock.sendall(bytes.fromhex(data))
    time.sleep(3600)


@app.task
def publishes_many(count: int) -> None:
    """Publish more than the worker process may have of this executor at once."""
    app.publish_many([noop.s() for _ in range(count)])
