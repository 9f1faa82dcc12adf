"""Many suspects at once: the culprit is found, and nobody else waits long, or pays."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.support import Scene, figure


def test_the_culprit_among_many_coroutines_is_found_in_seconds(vhost_url: str, tmp_path: Path):
    # Given one process with 200 tasks that run, one of which will kill it whenever it runs
    gate, count = tmp_path / "gate", 200
    with Scene(vhost_url, tmp_path) as scene:
        worker = scene.worker("-p", "2", "--async-concurrency", str(count), "--prefetch", "400")
        culprit = scene.send("adies", path=str(gate))
        innocents = {scene.send("ainnocent", path=str(gate)) for _ in range(count - 1)}
        scene.ledger.wait(count, "started")

        # When it does
        gate.touch()
        ran = scene.ledger.wait(count - 1, "ran")

        # Then the others end with no attempt spent, and the culprit alone is dead-lettered
        took = max(line["at"] for line in ran) - gate.stat().st_mtime
        [(_, properties, _)] = scene.rabbit.letters("default")
        assert properties.message_id == culprit
        assert properties.headers["rmqwork-error-reason"] == "worker-crashed"
        assert {line["id"] for line in ran} == innocents
        assert {line["attempt"] for line in ran} == {1}
        deaths = len(worker.log("killed by SIGKILL, with"))
        figure("4", f"{count} suspects cleared in {took:.1f} s, with {deaths} deaths")
        assert deaths <= 10
        assert worker.stop() == 0
