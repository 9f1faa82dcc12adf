"""What ends in a dead-letter queue, when, and with what evidence."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.apps.work import Resize
from tests.acceptance.support import SOON, WorkerHarness, figure
from tests.waiting import until

MOST = 16 * 1024 * 1024
"""Bytes of a body that RabbitMQ 4.x takes (``max_message_size``)."""
BODIES = {
    "not JSON": (b"{'url': 1}", "images.resize"),
    "a wrong field": (b'{"url": "x", "width": 0}', "images.resize"),
    "a missing field": (b'{"width": 3}', "images.resize"),
    "an array": (b"[1, 2]", "images.resize"),
    "random bytes": (bytes(range(256)) * 4, "images.resize"),
    "nothing": (b"", "images.resize"),
    "too many arguments": (b'{"key": "", "other": 1}', "work.mark"),
    "not JSON, for a coroutine": (b"\xff\xfe", "work.amark"),
}


def headers_of(letter: Any) -> dict[str, Any]:
    """The headers of a dead letter, in plain types."""
    return dict(letter[1].headers)


def goes_on(scene: WorkerHarness, key: str) -> None:
    """The worker does its work after what has happened."""
    scene.send("mark", key=key)
    scene.ledger.wait(1, "ran", key=key)


def test_a_task_that_keeps_failing_is_there_once_with_all_evidence(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        scene.worker()
        body = b' {"text" :\t"no such im\\u00e4ge"}\n'
        began = time.time()
        scene.rabbit.wait_consumed("default")
        scene.rabbit.publish(
            "default",
            body,
            "work.fails",
            "order-66",
            {"tenant": "acme", "traceparent": "00-ab-cd-01", "n": 7},
            correlation_id="c",
            reply_to="r",
            app_id="by-hand",
            timestamp=1_700_000_000,
        )

        [(_, properties, found)] = scene.rabbit.letters("default")

        assert found == body
        assert len(scene.ledger.lines("started", id="order-66")) == 3
        assert (properties.message_id, properties.type) == ("order-66", "work.fails")
        assert (properties.correlation_id, properties.reply_to) == ("c", "r")
        assert (properties.app_id, properties.timestamp) == ("by-hand", 1_700_000_000)
        assert (properties.content_type, properties.delivery_mode) == ("application/json", 2)
        headers = dict(properties.headers)
        assert headers["rmqwork-error-reason"] == "failed"
        assert headers["rmqwork-error-type"] == "ValueError"
        assert headers["rmqwork-error-message"] == "no such imäge"
        assert "in fails" in headers["rmqwork-error-traceback"]
        assert "ValueError: no such imäge" in headers["rmqwork-error-traceback"]
        at = datetime.fromisoformat(headers["rmqwork-error-at"])
        assert began < at.timestamp() <= datetime.now(UTC).timestamp()
        assert headers["rmqwork-attempt"] == 3
        assert headers["rmqwork-host"]
        assert headers["rmqwork-exchange"] == "rmqwork.tasks"
        assert headers["rmqwork-routing-key"] == "default"
        assert headers["rmqwork-queue"] == "default"
        assert (headers["tenant"], headers["traceparent"]) == ("acme", "00-ab-cd-01")
        assert headers["n"] == 7
        astray = [name for name in headers if name.startswith(("x-", "rmqwork-d"))]
        assert set(astray) <= {"x-delivery-count"}  # the broker's own, of this delivery
        goes_on(scene, "after a failure")
        assert scene.rabbit.ready("default") == 0
        assert scene.rabbit.ready("default.dlq") == 0


def test_a_rejected_message_is_there_after_one_run(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        scene.worker()
        task_id = scene.send("rejects")

        [letter] = scene.rabbit.letters("default")

        headers = headers_of(letter)
        assert headers["rmqwork-error-reason"] == "rejected"
        assert headers["rmqwork-error-message"] == "no such customer"
        assert headers["rmqwork-attempt"] == 1
        assert len(scene.ledger.lines("started", id=task_id)) == 1
        goes_on(scene, "after a rejection")


@pytest.mark.slow
def test_bad_bodies_are_there_at_once_and_untouched(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        scene.worker()
        scene.rabbit.wait_consumed("default")
        huge = {
            "as large as may be, random": (os.urandom(MOST), "images.resize"),
            "as large as may be, nested": (b"[" * MOST, "images.resize"),
        }
        for what, (body, task) in (BODIES | huge).items():
            began = time.monotonic()
            scene.rabbit.publish("default", body, task, what, priority=3)

            [(_, properties, found)] = scene.rabbit.letters("default")

            figure("4", f"{what}: dead-lettered after {time.monotonic() - began:.3f} s")
            assert found == body, what
            assert (properties.message_id, properties.type) == (what, task)
            assert properties.priority == 3
            headers = dict(properties.headers)
            assert headers["rmqwork-error-reason"] == "invalid-message", what
            assert headers["rmqwork-error-message"], what
            assert headers["rmqwork-attempt"] == 1, what
            goes_on(scene, f"after {what}")
        assert not scene.ledger.lines("ran", task="images.resize")


def test_a_body_as_large_as_may_be_runs(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        scene.worker()
        scene.rabbit.wait_consumed("default")
        start = b'{"width": 1, "url": "'
        body = start + b"x" * (MOST - len(start) - 2) + b'"}'

        scene.rabbit.publish("default", body, "images.resize", "huge")

        assert scene.ledger.wait(1, "ran", id="huge")[0]["width"] == 1


def test_a_message_without_a_type_is_invalid(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        scene.worker()
        scene.rabbit.wait_consumed("default")
        scene.rabbit.publish("default", b"{}", None)
        scene.rabbit.publish("default", b"{}", None, message_id=None)

        letters = scene.rabbit.letters("default", 2)

        for letter in letters:
            assert headers_of(letter)["rmqwork-error-reason"] == "invalid-message"
            assert letter[1].message_id
        goes_on(scene, "after no type")


def test_what_nobody_knows_waits_for_its_grace(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        worker = scene.worker(env={"RMQWORK_UNKNOWN_TASK_GRACE": "1.5"})
        scene.rabbit.wait_consumed("default")
        began = time.time()
        scene.rabbit.publish("default", b"{}", "shop.unheard_of", "a", {"mine": "kept"})
        newer = {"rmqwork-version": 3}
        scene.rabbit.publish("default", b'{"url": "x", "width": 1}', "images.resize", "b", newer)
        goes_on(scene, "meanwhile")

        letters = scene.rabbit.letters("default", 2)

        waited = [
            datetime.fromisoformat(headers_of(letter)["rmqwork-error-at"]).timestamp() - began
            for letter in letters
        ]
        figure(
            "4", "unknown task and newer version waited " + ", ".join(f"{w:.2f}" for w in waited)
        )
        assert all(1.5 <= wait < SOON for wait in waited)
        found = {letter[1].message_id: headers_of(letter) for letter in letters}
        assert sorted(found) == ["a", "b"]
        for headers in found.values():
            assert headers["rmqwork-error-reason"] == "unknown-task"
            assert headers["rmqwork-attempt"] == 1
        assert found["a"]["mine"] == "kept"
        assert found["b"]["rmqwork-version"] == 3
        assert worker.process.poll() is None
        goes_on(scene, "after it")


def test_no_grace_means_at_once(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        scene.worker(env={"RMQWORK_UNKNOWN_TASK_GRACE": "0"})
        scene.rabbit.wait_consumed("default")
        scene.rabbit.publish("default", b"{}", "shop.unheard_of")

        [letter] = scene.rabbit.letters("default")

        headers = headers_of(letter)
        assert headers["rmqwork-error-reason"] == "unknown-task"
        assert "rmqwork-unknown-since" not in headers


def test_what_nobody_knows_runs_when_somebody_comes(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        old = scene.worker(app="tests.acceptance.apps.old:app")
        scene.rabbit.wait_consumed("default")
        scene.app.publish(Resize(url="x", width=5))
        delays = [f"rmqwork.delay.v1.{level:02d}" for level in range(10)]
        until(lambda: any(map(scene.rabbit.ready, delays)), "the message in a delay queue")
        assert old.stop() == 0

        scene.worker()

        assert scene.ledger.wait(1, "ran", task="images.resize")[0]["attempt"] == 1


def test_what_has_expired_does_not_run(vhost_url: str, tmp_path: Path):
    with WorkerHarness(vhost_url, tmp_path) as scene:
        mark = scene.task("mark")
        late = mark.options(expires=0.05).delay(key="late")
        scheduled = mark.options(expires=0.3, countdown=0.6).delay(key="due too late")
        in_time = mark.options(expires=60.0).delay(key="in time")
        passed = time.time() + 0.06
        while time.time() < passed:
            time.sleep(0.01)

        scene.worker()

        letters = scene.rabbit.letters("default", 2)
        assert {letter[1].message_id for letter in letters} == {late.id, scheduled.id}
        for letter in letters:
            headers = headers_of(letter)
            assert headers["rmqwork-error-reason"] == "expired"
            assert "key" in json.loads(letter[2])
        assert [line["id"] for line in scene.ledger.wait(1, "ran")] == [in_time.id]
