"""``rmqwork dlq`` on a real broker: what it prints, what it leaves, and its exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rmqwork._cli.program import main
from rmqwork._topology.topology import Queue
from rmqwork._transport.connecting import connect
from rmqwork.types import Delivery
from tests.acceptance.support import Rabbit
from tests.unit.admin.deadletters.dead_letters import fill, published, taken
from tests.waiting import until

APP = "tests.acceptance.apps.letters:app"
ROOT = Path(__file__).parents[2]
Dlq = Callable[..., tuple[int, str, str]]
KINDS = ("ValueError", "KeyError", "shop.Busy")


@pytest.fixture
def dlq(vhost_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dlq:
    """Run a verb here; its exit code, stdout and stderr."""
    for name in [name for name in os.environ if name.startswith("RMQWORK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RMQWORK_BROKER", vhost_url)
    monkeypatch.delitem(sys.modules, APP.partition(":")[0], raising=False)  # its broker was another

    def run(verb: str, *arguments: str, app: str = APP) -> tuple[int, str, str]:
        code = main(["dlq", verb, app, *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def put(url: str, count: int, **changed: Any) -> None:
    letters = [
        published(n, rmqwork_error_type=KINDS[n % 3], rmqwork_error_message=f"no {n}", **changed)
        for n in range(count)
    ]
    asyncio.run(fill(connect([url]), letters, Queue("q"), Queue("p")))


def take(url: str, queue: str) -> list[Delivery]:
    return asyncio.run(taken(connect([url]), queue))


def test_find_replay_and_purge(vhost_url: str, dlq: Dlq) -> None:
    # Given failures of three kinds
    put(vhost_url, 30)

    # Then each is a group
    code, out, _ = dlq("list", "--json", "--limit", "2")
    groups = json.loads(out)["groups"]
    assert code == 0
    assert [(one["count"], one["task"], one["queue"]) for one in groups] == [
        (10, "shop.add", "q")
    ] * 3
    busy = next(one["id"] for one in groups if one["error_type"] == "shop.Busy")
    code, out, _ = dlq("list")
    assert busy in out
    assert "checks.py:3 in check" in out

    # And one of them is replayed, to the queue that it failed in
    code, out, _ = dlq("replay", "--group", busy, "--dry-run")
    assert (code, out) == (0, "10 would be replayed to q\n")
    code, out, _ = dlq("replay", "--group", busy, "--json")
    assert (code, json.loads(out)["replayed"]) == (0, 10)
    assert sorted(one.message_id or "" for one in take(vhost_url, "q")) == sorted(
        f"id{n}" for n in range(30) if n % 3 == 2
    )

    # And by field, error and id; to another queue
    assert dlq("replay", "--match", "n=3", "--to", "p")[0] == 0
    assert dlq("replay", "id1", "--to", "p")[:2] == (0, "1 replayed to p\n")
    assert [one.message_id for one in take(vhost_url, "p")] == ["id3", "id1"]

    # And what is not there, or taken by no queue, has its exit code
    assert dlq("replay", "--error", "OSError")[0] == 3
    code, _, err = dlq("replay", "id4", "--to", "nosuch")
    assert (code, err) == (1, "rmqwork: 1 stay: no queue takes queue 'nosuch'\n")
    assert dlq("list", "--check")[0] == 1
    assert dlq("replay")[0] == 2
    assert dlq("purge", "--all")[0] == 2  # nobody is there to be asked

    # And the rest is removed
    assert dlq("purge", "--error", "KeyError", "--yes")[:2] == (0, "9 removed\n")
    assert dlq("purge", "--all", "--yes")[:2] == (0, "9 removed\n")
    assert dlq("purge", "--all", "--yes")[0] == 3
    assert dlq("list", "--check")[0] == 0


def test_out_of_the_broker_and_in_again(vhost_url: str, dlq: Dlq, tmp_path: Path) -> None:
    put(vhost_url, 12, odd=b"\xff")
    file = tmp_path / "letters.jsonl"
    assert dlq("export", "--error", "Busy", "-o", str(file))[0] == 0
    before = file.read_text()
    assert len(before.splitlines()) == 4
    assert dlq("purge", "--all", "--yes")[0] == 0
    assert dlq("import", str(file))[:2] == (0, "4 imported\n")
    assert dlq("import", str(file))[:2] == (0, "0 imported, 4 were there already\n")
    assert dlq("export")[:2] == (0, before)
    file.write_text(before + "{}\n")
    code, _, err = dlq("import", str(file))
    assert code == 2
    assert "line 5" in err


def editor(tmp_path: Path, old: str, new: str) -> str:
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        f"file.write_text(file.read_text().replace({old!r}, {new!r}))\n"
    )
    return f"{sys.executable} {script}"


def test_edit(vhost_url: str, dlq: Dlq, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(vhost_url, 3)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    # What does not fit the task is not published, and the text is kept
    monkeypatch.setenv("EDITOR", editor(tmp_path, "1", "-1"))
    code, _, err = dlq("edit", "id1")
    assert code == 1
    assert "greater than or equal to 0" in err
    kept = Path(err.rstrip().rpartition(" ")[2])
    assert kept.read_text() == '{\n  "n": -1\n}\n'
    kept.unlink()

    # What is not changed, neither
    monkeypatch.setenv("EDITOR", editor(tmp_path, "", ""))
    assert dlq("edit", "id1")[0] == 3
    assert take(vhost_url, "q") == []

    # What fits is replayed
    monkeypatch.setenv("EDITOR", editor(tmp_path, "1", "17"))
    assert dlq("edit", "id1")[:2] == (0, "id1 replayed to q, with the new body\n")
    (sent,) = take(vhost_url, "q")
    assert (json.loads(sent.body), sent.message_id) == ({"n": 17}, "id1")
    assert dlq("edit", "id1")[0] == 3


def test_show_tells_the_history_and_steers_no_terminal(vhost_url: str, dlq: Dlq) -> None:
    history = "1 2030-01-01T00:00:00.000Z pod-0 ValueError: first \x1b[2J"
    put(vhost_url, 1, rmqwork_history=history, rmqwork_replay=2)
    code, out, _ = dlq("show", "id0")
    assert code == 0
    assert "attempt 1   pod-0  ValueError: first \\x1b[2J" in out
    assert "attempt 3   pod-1  ValueError: no 0" in out
    assert "\x1b" not in out
    (copy,) = json.loads(dlq("show", "id0", "--json")[1])["copies"]
    assert (copy["replays"], [step["attempt"] for step in copy["history"]]) == (2, [1, 3])


def kill_a_replay(rabbit: Rabbit, environment: dict[str, str], after: float) -> bool:
    """Kill a replay so many seconds after it has begun; false when it had ended before."""
    before = rabbit.ready("q")
    process = subprocess.Popen(
        [sys.executable, "-m", "rmqwork", "dlq", "replay", APP, "--all", "--rate", "100"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: process.poll() is not None or rabbit.ready("q") > before, "a replay")
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        return True
    return False


def test_replay_killed_again_and_again(vhost_url: str, dlq: Dlq) -> None:
    """Nothing is lost, and a kill makes at most one message come twice."""
    count, seed = 100, random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    put(vhost_url, count)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    rabbit = Rabbit(vhost_url)
    kills = sum(kill_a_replay(rabbit, environment, chance.random() * 0.3) for _ in range(2))
    rabbit.close()

    def finished() -> bool:
        return dlq("replay", "--all", "--window", "50")[0] == 3  # nothing is left

    until(finished, "the end of the dead letters")
    came = Counter(one.message_id for one in take(vhost_url, "q"))
    assert kills
    assert set(came) == {f"id{n}" for n in range(count)}
    assert came.total() - count <= kills
