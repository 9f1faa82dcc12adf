"""Publishing from wherever Python calls code: it works, or it raises and says why; it never hangs.

A program a place, with a deadline that dumps the stacks of all threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pika
import pytest

from rmqwork.testing.broker import Broker
from tests.acceptance.places import PLACES, Place
from tests.conftest import vhost

DEADLINE = 35.0
"""Seconds; a publish that waits in vain takes 40, and is seen."""
HANGS = 1000
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def url(broker: Broker) -> Iterator[str]:
    with vhost(broker) as url:
        yield url


def arrived(url: str, queue: str) -> list[int]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel, found = connection.channel(), []
    while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
        found.append(json.loads(got[2])["x"])
    channel.queue_delete(queue)
    connection.close()
    return sorted(found)


def run(command: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program and what it forks; where it hangs, all of them say where, and are ended."""
    with (cwd / "out").open("w") as out, (cwd / "err").open("w") as err:
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdout=out, stderr=err, start_new_session=True
        )
        try:
            code = process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            code = HANGS
            os.killpg(process.pid, signal.SIGUSR2)
            time.sleep(1)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    said = [(cwd / name).read_text(errors="replace") for name in ("out", "err")]
    return subprocess.CompletedProcess(command, code, *said)


@pytest.mark.parametrize("name", PLACES)
def test_it_works_or_says_why_not(url: str, tmp_path: Path, name: str) -> None:
    place: Place = PLACES[name]
    for module in place.imports:
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    queue = re.sub(r"\W+", "-", name)
    (tmp_path / "program.py").write_text(place.program)
    for file, text in place.files.items():
        (tmp_path / file).write_text(dedent(text))
    inherited = {key: val for key, val in os.environ.items() if not key.startswith("RMQWORK_")}

    ended = run(
        [sys.executable, *place.arguments, "program.py"],
        cwd=tmp_path,
        env=inherited
        | {
            "RMQWORK_BROKER": url,
            "QUEUE": queue,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        },
    )

    told = f"{ended.stdout}\n{ended.stderr}"
    assert ended.returncode != HANGS, told
    assert ended.returncode == place.code_of_exit, told
    ok = sorted(int(x) for x in re.findall(r"^ok (\d+)$", ended.stdout, re.M))
    found = arrived(url, queue)
    assert len(found) == len(set(found)), told
    assert set(ok) >= set(place.arrives), told
    assert len(ok) >= place.at_least, told
    missing = set(ok) - set(found)
    assert not missing, f"{missing} were confirmed, and have not arrived\n{told}"
    if not place.frozen:
        assert ok == found, told
    for text in re.findall(r"^refused .*$", ended.stdout, re.M):
        assert re.search(place.refused or "nothing is refused", text), told
    assert re.search(place.said, ended.stdout, re.M), told
