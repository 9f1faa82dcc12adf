"""Process 1 reaps whatever has lost its parent, and leaves its own child to who waits for it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from rmqwork._worker.orphans import reap_orphans

REAPS = """
import os, time
from rmqwork._worker.orphans import reap

def child(code):
    pid = os.fork()
    if not pid:
        os._exit(code)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it is dead, and not reaped
    return pid

dead = [child(n) for n in range(3)]
print(reap(own=0))
for pid in dead:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        print("reaped")
own = child(7)
print(reap(own))
print(os.waitstatus_to_exitcode(os.waitpid(own, 0)[1]))  # who waits for it gets it
living = os.fork()
if not living:
    time.sleep(60)
    os._exit(0)
print(reap(own=0))
os.kill(living, 9)
os.waitpid(living, 0)
print(reap(own=0))  # no child at all
"""


def test_dead_children_are_reaped_but_for_the_own_one() -> None:
    # A process of its own: these would otherwise be children of pytest, among others.
    said = subprocess.check_output([sys.executable, "-c", REAPS], text=True, timeout=60)

    assert said.split() == ["3", "reaped", "reaped", "reaped", "0", "7", "0", "0"]


async def test_nobody_but_process_1_reaps() -> None:
    assert os.getpid() != 1, "this test tells nothing as process 1"

    await asyncio.wait_for(reap_orphans(lambda: pytest.fail("it looks for orphans")), 5)
