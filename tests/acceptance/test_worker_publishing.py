"""What is published from anywhere is executed, once each, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from rmqwork.errors import PublishError
from rmqwork.testing.broker import Broker, vhost
from tests.acceptance.apps.work import Resize
from tests.acceptance.support import WorkerHarness, figure
from tests.waiting import until

THREADS, EACH = 16, 1000


def test_a_message_published_by_hand_runs(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        scene.worker()
        scene.rabbit.wait_consumed("default")

        scene.rabbit.publish("default", b'{ "key": "by hand" }', "work.mark", "hand-1")
        scene.rabbit.publish(
            "default", b'{"width": 3, "url": "u"}', "images.resize", None, content_type=None
        )

        assert scene.ledger.wait(1, "ran", id="hand-1")[0]["key"] == "by hand"
        assert scene.ledger.wait(1, "ran", task="images.resize")[0]["width"] == 3


def test_a_message_of_ours_is_plain_json(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        result = scene.app.publish(Resize(url="https://example.com/ä.png", width=64), priority=2)

        message = scene.rabbit.take("default")

        assert message is not None
        _, properties, body = message
        assert json.loads(body) == {"url": "https://example.com/ä.png", "width": 64}
        assert (properties.message_id, properties.type) == (result.id, "images.resize")
        assert (properties.content_type, properties.delivery_mode) == ("application/json", 2)
        assert properties.content_encoding is None
        assert properties.priority == 2
        assert abs(properties.timestamp - time.time()) < 60
        assert properties.app_id == "work"
        headers = {name: value for name, value in properties.headers.items() if name[:2] != "x-"}
        assert headers == {"rmqwork-version": 2}


class Publishers:
    """16 threads and an event loop that publish through one app, and what became of it."""

    def __init__(self, scene: WorkerHarness) -> None:
        self.published: list[str] = []
        self.errors: list[Exception] = []
        self._mark, self._amark = scene.task("mark"), scene.task("amark")
        self.threads = [threading.Thread(target=self._publish) for _ in range(THREADS)]
        self.threads.append(threading.Thread(target=lambda: asyncio.run(self._apublish())))
        for thread in self.threads:
            thread.start()

    def _publish(self) -> None:
        for number in range(EACH):
            try:
                self.published.append(self._mark.delay(key=str(number)).id)
            except PublishError as error:
                self.errors.append(error)

    async def _apublish(self) -> None:
        async def one(number: int) -> None:
            try:
                self.published.append((await self._amark.adelay(key=str(number))).id)
            except PublishError as error:
                self.errors.append(error)

        await asyncio.gather(*map(one, range(EACH)))

    def join(self, timeout: float) -> None:
        """Wait until all have done their work."""
        until(lambda: not any(thread.is_alive() for thread in self.threads), "threads", timeout)


@pytest.mark.slow
def test_many_threads_and_a_loop_publish_at_once(vhost_url: str, tmp_path: Path):
    total = (THREADS + 1) * EACH
    with WorkerHarness(vhost_url, tmp_path) as scene:
        scene.worker("-c", "16", "--log-level", "warning")
        began = time.monotonic()
        publishers = Publishers(scene)
        publishers.join(120)
        published = time.monotonic() - began

        until(lambda: scene.ledger.count("ran") >= total, "all to have run", 120, every=0.2)

        took = time.monotonic() - began
        ran = Counter(line["id"] for line in scene.ledger.lines("ran"))
        figure(
            "7",
            f"{total} published in {published:.1f} s ({total / published:.0f}/s), executed in "
            f"{took:.1f} s; twice: {sum(1 for count in ran.values() if count > 1)}",
        )
        assert not publishers.errors
        assert ran == Counter(publishers.published)
        scene.rabbit.wait_ready("default", 0)
        assert scene.rabbit.ready("default.dlq") == 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_restart_of_the_broker_in_the_middle_loses_nothing(
    fragile_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RMQWORK_NEW_QUEUE_WAIT", "1")
    total = (THREADS + 1) * EACH
    with vhost(fragile_broker) as url, WorkerHarness(url, tmp_path) as scene:
        worker = scene.worker("-c", "16", "--log-level", "warning")
        scene.send("mark", key="first")
        scene.ledger.wait(1, "ran")
        scene.rabbit.close()
        publishers = Publishers(scene)
        until(lambda: len(publishers.published) > total // 8, "an eighth to be published")

        began = time.monotonic()
        fragile_broker.restart()
        away = time.monotonic() - began

        publishers.join(200)
        confirmed = Counter(publishers.published)
        until(
            lambda: not confirmed.keys() - {line["id"] for line in scene.ledger.lines("ran")},
            "all that was confirmed to have run",
            120,
            every=0.5,
        )
        ran = Counter(line["id"] for line in scene.ledger.lines("ran", task="work.mark"))
        again = sum(1 for count in ran.values() if count > 1)
        figure(
            "7",
            f"broker restarted in the middle ({away:.1f} s): {len(confirmed)} of {total} "
            f"confirmed, {len(publishers.errors)} raised, lost 0, {again} ran more than once",
        )
        assert len(confirmed) + len(publishers.errors) == total
        assert worker.stop() == 0
