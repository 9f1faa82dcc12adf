"""The keeper: a child process that tidies up after its parent, however the parent ends.

A broker that was started for a test must not outlive the test run, and a run may end by Ctrl-C,
SIGTERM, SIGKILL or the kernel's memory killer. So nothing is left to the run itself: this process
waits for a byte on its standard input, for the end of that input, or for its parent's death, and
then removes everything. It is started as a file (``python -P _keeper.py PARENT folder``) and
imports only the standard library, so that it is up in some 30 ms and needs no installed package.

``folder``: makes a temporary folder and prints its path. Every process that has this path in its
environment as :data:`MARK` (the broker's node, its port mapper, its command line tools: all that
the node starts inherits it) is killed, then the folder is removed.

``container NAME``: removes the Docker container of that name, with its anonymous volumes.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MARK = "RMQWORK_PRIVATE_BROKER"
POLL = 0.5  # seconds between two looks at the parent: it may have left its pipe to a forked child
SWEEP = 20.0  # seconds to try before giving up


def wait_for_the_end(parent: int) -> None:
    """Return when the parent says so, closes the pipe, or is gone."""
    while os.getppid() == parent:
        if select.select([sys.stdin], [], [], POLL)[0]:
            return


def marked_processes(folder: str) -> list[int]:
    """The processes whose environment names this folder; the dead, reaped or not, have none."""
    mark = f"{MARK}={folder}"
    if not Path("/proc/self/environ").exists():  # macOS
        command = ["ps", "-axwwE", "-o", "pid=,command="]
        listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return [int(line.split()[0]) for line in listing.splitlines() if mark in line]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def kill_marked(folder: str, *, deadline: float = SWEEP) -> None:
    """SIGKILL what belongs to the folder until nothing is left of it."""
    end = time.monotonic() + deadline
    while (found := marked_processes(folder)) and time.monotonic() < end:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def remove_folder(folder: str) -> None:
    """Kill the folder's processes and remove it."""
    kill_marked(folder)
    end = time.monotonic() + SWEEP
    while Path(folder).exists() and time.monotonic() < end:
        shutil.rmtree(folder, ignore_errors=True)
        if Path(folder).exists():
            time.sleep(0.1)


def remove_container(name: str) -> None:
    """Remove a container, running or not, or one that the daemon is only now making."""
    import docker  # comes with testcontainers, without which there is no container
    from docker.errors import APIError, NotFound

    client = docker.from_env(timeout=30)
    end = time.monotonic() + SWEEP
    removed, looks = False, 0
    while time.monotonic() < end:
        try:
            client.containers.get(name).remove(force=True, v=True)
            removed = True
        except NotFound:
            looks += 1
            if removed or looks > 1:
                break
            time.sleep(1)
        except APIError:  # being removed by somebody else, or a daemon that is busy
            time.sleep(0.2)
    client.close()


def main(parent: str, what: str, *names: str) -> None:
    """Keep watch over the process ``parent``, then remove ``what``."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # SIGTERM ends the watch early, and tidies up all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folder = tempfile.mkdtemp(prefix="rmqwork-broker-") if what == "folder" else ""
    try:
        print(folder, flush=True)
        wait_for_the_end(int(parent))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if folder:
            remove_folder(folder)
        for name in names:
            remove_container(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
