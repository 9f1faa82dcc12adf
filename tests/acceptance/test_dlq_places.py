"""``rmqwork dlq`` and ``queues`` for what is no dead-letter queue: suspects, and the unroutable."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from rmqwork._cli.program import main
from rmqwork._topology.topology import RETURN_EXCHANGE, UNROUTABLE, Queue, app_declarations
from rmqwork._transport.connecting import connect
from tests.acceptance.test_dlq import APP, Dlq, take
from tests.acceptance.test_dlq import dlq as dlq
from tests.unit.admin.deadletters.dead_letters import fill, published


def suspects(url: str, count: int) -> None:
    """What a worker moves aside: the message as it was, with where it came from."""
    headers = {"rmqwork-queue": "q", "rmqwork-exchange": "rmqwork.tasks"}
    sent = [replace(published(n), routing_key="q.suspects", headers=headers) for n in range(count)]
    asyncio.run(fill(connect([url]), sent, Queue("q"), Queue("p")))


def unroutable(url: str, queue: str, count: int) -> None:
    """What comes back from a delay to a queue that is gone."""
    sent = [
        replace(published(n), exchange=RETURN_EXCHANGE, routing_key=queue, headers={"own": "kept"})
        for n in range(count)
    ]
    asyncio.run(fill(connect([url]), sent, Queue("q"), Queue("p")))


def declare(url: str, queue: Queue) -> None:
    async def run() -> None:
        link = await connect([url]).open("test")
        await link.declare(app_declarations([queue]))
        await link.close()

    asyncio.run(run())


def depths(url: str, *names: str) -> list[int]:
    async def look() -> list[int]:
        link = await connect([url]).open("test")
        found = [await link.depth(name) for name in names]
        await link.close()
        return [-1 if depth is None else depth.messages for depth in found]

    return asyncio.run(look())


def test_suspects(
    vhost_url: str, broker_version: tuple[int, ...], dlq: Dlq, tmp_path: Path
) -> None:
    suspects(vhost_url, 5)
    there = ("-Q", "q.suspects")
    if broker_version < (4, 3):
        # Given a broker that counts each look as a crash: every verb refuses it, in one line
        sure = ("--all", "--yes")
        for verb, *more in (["list"], ["replay", *sure], ["export"], ["purge", *sure]):
            code, _, err = dlq(verb, *there, *more)
            assert code == 2, (verb, err)
            assert "cannot be looked into" in err
            assert err.count("\n") == 1
        assert depths(vhost_url, "q.suspects") == [5]
        return

    # Then they are listed, without a failure that anybody has told of
    code, out, _ = dlq("list", *there, "--json")
    (group,) = json.loads(out)["groups"]
    assert code == 0
    assert (group["count"], group["queue"], group["reason"]) == (5, "q", "unknown")
    code, out, _ = dlq("show", *there, "id3", "--json")
    assert (code, json.loads(out)["copies"][0]["body"]) == (0, '{"n": 3}')
    file = tmp_path / "suspects.jsonl"
    assert dlq("export", *there, "-o", str(file))[0] == 0
    assert len(file.read_text().splitlines()) == 5

    # And go back to their queue, or away
    assert dlq("replay", *there, "id3")[:2] == (0, "1 replayed to q\n")
    assert dlq("purge", *there, "--match", "n=4", "--yes")[:2] == (0, "1 removed\n")
    assert dlq("replay", *there, "--all", "--yes")[:2] == (0, "3 replayed to q\n")
    assert [one.message_id for one in take(vhost_url, "q")] == ["id3", "id0", "id1", "id2"]
    assert depths(vhost_url, "q.suspects", "q.dlq") == [0, 0]

    # And what was exported is put back where it was
    assert dlq("import", str(file))[:2] == (0, "5 imported\n")
    assert depths(vhost_url, "q.suspects", "q.dlq") == [5, 0]


def test_what_could_return_to_no_queue(vhost_url: str, dlq: Dlq, tmp_path: Path) -> None:
    there = ("-Q", UNROUTABLE)
    unroutable(vhost_url, "gone", 4)

    # Then it is listed under the place where it lies, and not with the app's queues
    code, out, _ = dlq("list", *there, "--json")
    (group,) = json.loads(out)["groups"]
    assert (code, group["count"], group["queue"]) == (0, 4, UNROUTABLE)
    assert json.loads(dlq("list", "--json")[1])["count"] == 0
    assert dlq("show", *there, "id1")[0] == 0

    # When it is replayed while its queue is still gone, it stays, and that is said
    code, _, err = dlq("replay", *there, "--all", "--yes")
    assert (code, err) == (1, "rmqwork: 4 stay: no queue takes queue 'gone'\n")
    assert depths(vhost_url, UNROUTABLE) == [4]

    # And to another queue, or to its own when that is there again
    assert dlq("replay", *there, "id0", "--to", "q")[:2] == (0, "1 replayed to q\n")
    declare(vhost_url, Queue("gone"))
    assert dlq("replay", *there, "--limit", "2", "--all", "--yes")[:2] == (
        0,
        "2 replayed to gone\n",
    )
    back = take(vhost_url, "gone")
    assert [one.message_id for one in back] == ["id1", "id2"]
    assert back[0].headers["own"] == "kept"
    file = tmp_path / "letters.jsonl"
    assert dlq("export", *there, "-o", str(file))[0] == 0
    assert dlq("purge", *there, "--all", "--yes")[:2] == (0, "1 removed\n")
    assert dlq("import", str(file))[:2] == (0, "1 imported\n")
    assert depths(vhost_url, UNROUTABLE) == [1]


def test_queues_counts_both(vhost_url: str, dlq: Dlq, capsys: pytest.CaptureFixture[str]) -> None:
    suspects(vhost_url, 2)
    unroutable(vhost_url, "gone", 3)
    assert main(["queues", APP, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    by_name = {one["queue"]: one for one in told["queues"]}
    assert (by_name["q"]["suspects"], by_name["p"]["suspects"], told["unroutable"]) == (2, 0, 3)
    assert main(["queues", APP]) == 0
    out = capsys.readouterr().out
    assert "unroutable: 3" in out
    assert "suspects: 2 of q" in out
