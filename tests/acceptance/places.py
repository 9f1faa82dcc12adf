"""Places from which Python calls code, as programs that publish from there.

Each program gets ``app``, ``work`` and ``publish(x)``, which publishes one message and says on
stdout what came of it: ``ok 5`` or ``refused 5 BrokerUnavailable: …``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import dedent

PRELUDE = """
import faulthandler, os, signal, sys
faulthandler.register(signal.SIGUSR2)  # also in what is forked; whoever watches asks for it

def say(text):
    os.write(1, (" ".join(text.split()) + "\\n").encode())
"""

APP = """
from rmqwork import App, Queue
app = App("places", queues=[Queue(os.environ["QUEUE"], type="classic")])

@app.task(name="work")
def work(x: int) -> None: ...

def publish(x):
    try:
        work.delay(x)
    except Exception as error:
        say(f"refused {x} {type(error).__name__}: {error}")
    else:
        say(f"ok {x}")
"""


@dataclass(frozen=True)
class Place:
    """A program and what is to come of it.

    Args:
        code: after `APP`.
        arrives: what must have been published; what else said ``ok`` must have arrived, too.
        early: before the import of rmqwork.
        refused: a pattern of what may be said instead; empty = nothing is refused.
        at_least: so many that were published, whatever they are.
        frozen: whether the end of the process may stop a thread between a confirm and its "ok".
        code_of_exit: of the process.
        arguments: of the interpreter.
        imports: without these modules it cannot be tried.
        said: a pattern that stdout has.
    """

    code: str
    arrives: tuple[int, ...] = ()
    early: str = ""
    refused: str = ""
    at_least: int = 0
    frozen: bool = False
    code_of_exit: int = 0
    arguments: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    said: str = ""
    files: dict[str, str] = field(default_factory=dict)

    @property
    def program(self) -> str:
        """The whole program."""
        return PRELUDE + dedent(self.early) + APP + dedent(self.code)


_BUSY = """
    import threading
    stop = threading.Event()
    def busy():
        x = 1000
        while not stop.is_set():
            publish(x)
            x += 1
    """

PLACES = {
    # ── the end of the interpreter ────────────────────────────────────────────────────────────
    "atexit, registered before the first publish": Place(
        """
        import atexit
        atexit.register(lambda: publish(2))
        publish(1)
        """,
        (1, 2),
    ),
    "atexit, registered before rmqwork is imported": Place(
        "publish(1)", (1, 2), early="import atexit; atexit.register(lambda: publish(2))"
    ),
    "atexit, registered after a publish": Place(
        "import atexit; publish(1); atexit.register(publish, 2)", (1, 2)
    ),
    "atexit, the first publish of all": Place(
        "import atexit; atexit.register(publish, 1)",
        (1, 2),
        early="import atexit; atexit.register(lambda: publish(2))",
    ),
    "atexit, after App.close": Place(
        "import atexit; atexit.register(publish, 2); publish(1); app.close()", (1, 2)
    ),
    "threading._register_atexit": Place(
        "import threading; threading._register_atexit(publish, 2); publish(1)", (1, 2)
    ),
    "threading._register_atexit, the first publish": Place(
        "import threading; threading._register_atexit(publish, 1)", (1,)
    ),
    "weakref.finalize at exit, and a weakref's callback": Place(
        """
        import weakref
        class Thing: ...
        kept, lost = Thing(), Thing()
        weakref.finalize(kept, publish, 2)
        ref = weakref.ref(lost, lambda _: publish(1))
        del lost
        """,
        (1, 2),
    ),
    "__del__ while the interpreter ends": Place(
        """
        class Thing:
            def __del__(self):
                publish(2)
        kept = Thing()
        publish(1)
        """,
        (1,),
        refused="interpreter has ended|shutting down|NoneType",
    ),
    "a daemon thread while the interpreter ends": Place(
        _BUSY
        + """
    threading.Thread(target=busy, daemon=True).start()
    for x in range(20):
        publish(x)
    """,
        (1,),
        refused="interpreter has ended|interrupted|closed",
        frozen=True,
    ),
    "a thread that is left when main has ended": Place(
        """
        import threading, time
        def late():
            threading.main_thread().join()
            publish(1)
            publish(2)
        threading.Thread(target=late).start()
        """,
        (1, 2),
    ),
    "concurrent.futures while the interpreter ends": Place(
        """
        import time
        from concurrent.futures import ThreadPoolExecutor, thread
        pool = ThreadPoolExecutor(4)
        def late(x):
            while not thread._shutdown:
                time.sleep(0.01)
            publish(x)
        for x in range(8):
            pool.submit(late, x)
        """,
        tuple(range(8)),
    ),
    "ThreadPoolExecutor in atexit": Place(
        """
        import atexit
        from concurrent.futures import ThreadPoolExecutor
        def end():
            try:
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(publish, 3).result()
            except RuntimeError as error:
                say(f"python {error}")
            publish(2)
        atexit.register(end)
        publish(1)
        """,
        (1, 2),
        said="python cannot schedule new futures|ok 3",
    ),
    "asyncio.run in atexit": Place(
        """
        import asyncio, atexit
        async def end(first):
            await asyncio.gather(*(work.adelay(first + n) for n in range(3)))
            publish(first + 3)
            say("python has run it")
        atexit.register(lambda: asyncio.run(end(10)))
        asyncio.run(end(20))
        """,
        (13, 23),
        said="python has run it",
        frozen=True,
    ),
    "os._exit after a publish": Place("publish(1); os._exit(3)", (1,), code_of_exit=3),
    "sys.exit in main and in threads": Place(
        """
        import threading
        def run(x):
            try:
                sys.exit(x)
            finally:
                publish(x)
        threads = [threading.Thread(target=run, args=(x,)) for x in (1, 2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        run(4)
        """,
        (1, 2, 4),
        code_of_exit=4,
    ),
    # ── code that interrupts ──────────────────────────────────────────────────────────────────
    "a signal handler during the first publish": Place(
        """
        import itertools, signal
        numbers = itertools.count(1000)
        signal.signal(signal.SIGALRM, lambda *_: publish(next(numbers)))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.015)
        publish(1)
        signal.setitimer(signal.ITIMER_REAL, 0)
        """,
        (1,),
        refused="interrupted|same thread",
        at_least=2,
    ),
    "a signal handler that interrupts publishing": Place(
        """
        import itertools, signal
        publish(1)
        numbers = itertools.count(1000)
        signal.signal(signal.SIGALRM, lambda *_: publish(next(numbers)))
        signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
        for x in range(2, 150):
            publish(x)
        signal.setitimer(signal.ITIMER_REAL, 0)
        """,
        tuple(range(1, 150)),
        at_least=160,
    ),
    "a signal handler of a process that runs a loop": Place(
        """
        import asyncio, itertools, signal
        numbers = itertools.count(1000)
        signal.signal(signal.SIGALRM, lambda *_: (x := next(numbers)) < 1020 and publish(x))
        async def main():
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, publish, 5)
            os.kill(os.getpid(), signal.SIGUSR1)
            signal.setitimer(signal.ITIMER_REAL, 0.005, 0.01)
            for x in range(100, 130):
                await work.adelay(x)
            signal.setitimer(signal.ITIMER_REAL, 0)
        asyncio.run(main())
        """,
        (5,),
        at_least=3,
        frozen=True,
    ),
    "__del__ by count and by the collector, in any thread": Place(
        """
        import gc, itertools
        numbers = itertools.count(1000)
        class Thing:
            def __init__(self, loops):
                self.me = self if loops else None
            def __del__(self):
                publish(next(numbers))
        gc.set_threshold(300, 2, 2)
        Thing(False)
        for x in range(60):
            Thing(True)
            publish(x)
        gc.collect()
        """,
        tuple(range(60)),
        at_least=121,
    ),
    "gc.callbacks": Place(
        """
        import gc
        calls = []
        def collected(phase, info):
            calls.append(phase)
            if len(calls) < 40:
                publish(1000 + len(calls))
        publish(0)
        gc.callbacks.append(collected)
        gc.set_threshold(200)
        for x in range(1, 60):
            publish(x)
        gc.callbacks.clear()
        """,
        tuple(range(60)),
        refused="same thread",
        at_least=80,
    ),
    "sys.settrace and threading.settrace": Place(
        """
        import threading
        seen = set()
        def trace(frame, event, arg):
            name = frame.f_code.co_name
            if "rmqwork" in frame.f_code.co_filename and name not in seen and len(seen) < 30:
                seen.add(name)
                publish(1000 + len(seen))
            return trace
        threading.settrace(trace)
        sys.settrace(trace)
        publish(1)
        publish(2)
        sys.settrace(None)
        """,
        (1, 2),
        at_least=10,
    ),
    "sys.setprofile": Place(
        """
        import threading
        count = 0
        def profile(frame, event, arg):
            global count
            if event == "c_call" and count < 200:
                count += 1
                if count % 5 == 0:
                    publish(1000 + count)
        publish(0)
        threading.setprofile(profile)
        sys.setprofile(profile)
        publish(1)
        publish(2)
        sys.setprofile(None)
        """,
        (0, 1, 2),
        at_least=8,
    ),
    "an audit hook": Place(
        """
        import itertools
        numbers = itertools.count(1000)
        on = True
        def audit(event, args):
            if on and event in ("socket.connect", "socket.getaddrinfo"):
                publish(next(numbers))
        sys.addaudithook(audit)
        publish(1)
        publish(2)
        on = False
        """,
        (1, 2),
        refused="same thread",
        at_least=3,
    ),
    # ── hooks for what went wrong ─────────────────────────────────────────────────────────────
    "sys.excepthook": Place(
        """
        sys.excepthook = lambda *_: publish(2)
        publish(1)
        raise ValueError("this is what the hook is for")
        """,
        (1, 2),
        code_of_exit=1,
    ),
    "threading.excepthook": Place(
        """
        import threading
        threading.excepthook = lambda _: publish(1)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        """,
        (1,),
    ),
    "sys.unraisablehook": Place(
        """
        sys.unraisablehook = lambda _: publish(1)
        class Thing:
            def __del__(self):
                raise ValueError("this is what the hook is for")
        Thing()
        """,
        (1,),
    ),
    "a root log handler, while the publisher logs": Place(
        """
        import itertools, logging, threading
        numbers = itertools.count(1000)
        class Sends(logging.Handler):
            def emit(self, record):
                publish(next(numbers))
        logging.basicConfig(level=logging.DEBUG, handlers=[Sends()])
        for name in ("pika", "rmqwork", "rmqwork.publisher", "asyncio"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        threads = [
            threading.Thread(target=lambda x=x: (publish(x), logging.warning("%d", x)))
            for x in range(4)
        ]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        logging.warning("from main")
        """,
        tuple(range(4)),
        refused="log handler for what the publisher itself has logged|same thread",
        at_least=9,
    ),
    "an asyncio exception handler, call_soon, a loop in debug mode": Place(
        """
        import asyncio
        async def main():
            loop = asyncio.get_running_loop()
            loop.set_debug(True)
            loop.set_exception_handler(lambda loop, context: publish(1))
            loop.call_soon(lambda: 1 / 0)
            loop.call_soon(publish, 2)
            await asyncio.sleep(0.05)
        asyncio.run(main())
        """,
        (1, 2),
    ),
    "a loop that is closing": Place(
        """
        import asyncio
        async def numbers():
            try:
                yield 1
            finally:
                await work.adelay(3)
                publish(1)
        async def forever():
            try:
                await asyncio.sleep(60)
            finally:
                publish(2)
        async def main():
            global generator
            asyncio.ensure_future(forever())
            generator = numbers()
            await anext(generator)
        asyncio.run(main())
        loop = asyncio.new_event_loop()
        later = work.adelay(4)
        loop.close()
        try:
            later.send(None)
        except Exception as error:
            say(f"python {type(error).__name__} {error}")
        publish(5)
        """,
        (1, 2, 5),
        frozen=True,
        said="python ConfigurationError nothing was published: the verbs with an a",
    ),
    # ── forks ─────────────────────────────────────────────────────────────────────────────────
    "os.fork, before and after the first publish, and a daemon by two forks": Place(
        """
        def child(x):
            pid = os.fork()
            if pid == 0:
                publish(x)
                os._exit(0)
            os.waitpid(pid, 0)
        child(1)
        publish(2)
        child(3)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if os.fork() == 0:
                publish(4)
                os._exit(0)
            os.wait()
            os._exit(0)
        os.waitpid(pid, 0)
        publish(5)
        """,
        (1, 2, 3, 4, 5),
    ),
    "a fork that calls no hooks (uWSGI)": Place(
        """
        import ctypes
        publish(1)
        pid = ctypes.PyDLL(None).fork()
        if pid == 0:
            publish(2)
            publish(3)
            sys.exit(0)
        os.waitpid(pid, 0)
        publish(4)
        """,
        (1, 2, 3, 4),
    ),
    "os.register_at_fork": Place(
        """
        os.register_at_fork(
            before=lambda: publish(2),
            after_in_parent=lambda: publish(3),
            after_in_child=lambda: publish(4),
        )
        publish(1)
        pid = os.fork()
        if pid == 0:
            publish(5)
            os._exit(0)
        os.waitpid(pid, 0)
        """,
        (1, 2, 3, 4, 5),
    ),
    "os.register_at_fork before rmqwork is imported": Place(
        """
        publish(1)
        pid = os.fork()
        if pid == 0:
            publish(5)
            os._exit(0)
        os.waitpid(pid, 0)
        """,
        (1, 2, 3, 4, 5),
        early="""
        os.register_at_fork(
            before=lambda: publish(2),
            after_in_parent=lambda: publish(3),
            after_in_child=lambda: publish(4),
        )
        """,
    ),
    "forks while another thread publishes": Place(
        _BUSY
        + """
    thread = threading.Thread(target=busy)
    thread.start()  # the first forks find it importing, starting, connecting
    for x in range(12):
        pid = os.fork()
        if pid == 0:
            publish(x)
            os._exit(0)
        os.waitpid(pid, 0)
    stop.set()
    thread.join()
    """,
        tuple(range(12)),
    ),
    "prefork, as gunicorn does it": Place(
        """
        import signal
        publish(0)
        children = []
        ready, done = os.pipe()
        for x in range(1, 4):
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, lambda *_: (publish(10 + x), os._exit(0)))
                publish(x)
                os.write(done, b".")
                while True:
                    signal.pause()
            children.append(pid)
        for _ in children:
            os.read(ready, 1)
        for pid in children:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
        publish(4)
        """,
        (0, 1, 2, 3, 4, 11, 12, 13),
        refused="interrupted",
    ),
    "multiprocessing by fork, forkserver, spawn": Place(
        """
        if __name__ == "__main__":
            import multiprocessing
            publish(0)
            for x, kind in enumerate(("fork", "forkserver", "spawn"), 1):
                process = multiprocessing.get_context(kind).Process(target=publish, args=(x,))
                process.start()
                process.join()
        """,
        (0, 1, 2, 3),
    ),
    "subprocess with preexec_fn": Place(
        """
        import subprocess
        publish(1)
        subprocess.run(["true"], preexec_fn=lambda: publish(2), check=True)
        publish(3)
        """,
        (1, 2, 3),
    ),
    # ── frameworks, and interpreters of another kind ──────────────────────────────────────────
    "the import of a module, in a circle": Place(
        """
        import a_module
        """,
        (1, 2, 3),
        arguments=("-X", "importtime"),
        files={
            "a_module.py": """
                import builtins
                builtins.publish(1)
                import b_module
                builtins.publish(3)
                """,
            "b_module.py": """
                import builtins
                import a_module
                builtins.publish(2)
                """,
        },
        early="""
        import builtins
        builtins.publish = lambda x: globals()["publish"](x)
        """,
    ),
    "a generator that is closed, a context manager, a finally": Place(
        """
        import contextlib
        def numbers():
            try:
                yield
            finally:
                publish(1)
        generator = numbers()
        next(generator)
        generator.close()
        with contextlib.ExitStack() as stack:
            stack.callback(publish, 2)
        @contextlib.contextmanager
        def around():
            try:
                yield
            finally:
                publish(3)
        with contextlib.suppress(ValueError), around():
            raise ValueError
        """,
        (1, 2, 3),
    ),
    "beside faulthandler's dumps": Place(
        """
        null = open(os.devnull, "w")
        faulthandler.dump_traceback_later(30, file=null)
        for x in range(10):
            faulthandler.dump_traceback(null)
            publish(x)
        faulthandler.cancel_dump_traceback_later()
        """,
        tuple(range(10)),
    ),
    "threads of anyio": Place(
        """
        import anyio, anyio.to_thread
        async def main():
            async with anyio.create_task_group() as group:
                for x in range(3):
                    group.start_soon(anyio.to_thread.run_sync, publish, x)
        anyio.run(main)
        """,
        (0, 1, 2),
        imports=("anyio",),
    ),
    "trio: its threads, its loop, and adelay": Place(
        """
        import trio
        async def main():
            publish(1)
            await trio.to_thread.run_sync(publish, 2)
            try:
                await work.adelay(3)
            except Exception as error:
                say(f"python {type(error).__name__} {error}")
        trio.run(main)
        """,
        (1, 2),
        imports=("trio",),
        said="python ConfigurationError nothing was published: the verbs with an a .*trio",
    ),
    "uvloop": Place(
        """
        import asyncio, uvloop
        async def main():
            publish(1)
            asyncio.get_running_loop().call_soon(publish, 2)
            await asyncio.sleep(0.01)
        uvloop.run(main())
        import atexit
        async def end():
            publish(3)
        atexit.register(lambda: uvloop.run(end()))
        """,
        (1, 2, 3),
        imports=("uvloop",),
    ),
    "gevent, patched before": Place(
        """
        gevent.joinall([gevent.spawn(publish, x) for x in range(5)])
        publish(5)
        """,
        tuple(range(6)),
        early="import gevent, gevent.monkey; gevent.monkey.patch_all()",
        imports=("gevent",),
    ),
    "no thread can be started": Place(
        """
        import _thread, threading
        def refuse(*_, **__):
            raise RuntimeError("can't start new thread")
        _thread.start_new_thread = threading._start_new_thread = refuse
        threading._start_joinable_thread = refuse
        publish(1)
        publish(2)
        import asyncio
        async def main():
            publish(3)
            await work.adelay(4)
        asyncio.run(main())
        """,
        (1, 2, 3),
        frozen=True,
    ),
    "a sub-interpreter": Place(
        """
        # what follows is not for the inner one
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        text = open("program.py").read().partition("# what")[0].replace("faulthandler.", "pass #")
        text = text.replace("faulthandler,", "")
        inner = interpreters.create()
        try:
            said = interpreters.run_string(inner, text + "publish(2)")
        except BaseException as error:  # until Python 3.12 it is raised
            said = error
        say(f"python {said}")
        publish(1)
        """,
        (1,),
        said="ok 2|python .*(PyO3|subinterpreters)",
    ),
}
