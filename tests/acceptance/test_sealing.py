"""Encrypted and signed messages on a real broker and in a real worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rmqwork._cli.program import main
from rmqwork.sealing import Keys
from rmqwork.testing.broker import Broker
from tests.acceptance.apps import sealed
from tests.acceptance.support import WorkerHarness, manage


def test_unreadable_in_the_management_page_and_forgeries_are_dead_letters(
    vhost_url: str, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    management, place = manage(broker, vhost_url)
    app = sealed.make(vhost_url)
    scene = WorkerHarness(vhost_url, tmp_path)
    with scene:
        # Given an encrypted and a signed message, two forged ones and one without a seal
        app.send_task("sealed.secret", {"text": "the secret"})
        look = {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}
        shown = management.call("POST", f"queues/{place}/default/get", look).decode()
        assert "sealed.secret" in shown
        assert "the secret" not in shown
        assert json.loads(shown)[0]["payload_encoding"] == "base64"
        app.send_task("sealed.signed", {"text": "signed"})
        forger = sealed.make(vhost_url, Keys({"test": b"f" * 32}))
        forger.send_task("sealed.secret", {"text": "forged"})
        mendable = forger.send_task("sealed.signed", {"text": "forged"}).id
        plain = sealed.make(vhost_url, None)
        plain.send_task("sealed.signed", {"text": "forged"})

        # When a worker with the keys runs
        worker = scene.worker(app="tests.acceptance.apps.sealed:app")
        ran = scene.ledger.wait(2, "ran")
        scene.rabbit.wait_ready("default.dlq", 3)

        # Then the executors have the library of the keys, and the worker process has not
        assert "cryptography" in mapped(ran[0]["pid"])
        assert "cryptography" not in mapped(worker.process.pid)

        # And what is sealed has run, and the rest is dead-lettered
        assert {line["text"] for line in ran} == {"the secret", "signed"}

        # And when one who has the keys edits a letter, it is signed again and runs
        monkeypatch.setenv("RMQWORK_BROKER", vhost_url)
        monkeypatch.setenv("EDITOR", "sed -i s/forged/mended/")
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setattr(sealed, "app", sealed.make(vhost_url))
        assert main(["dlq", "edit", "tests.acceptance.apps.sealed:app", mendable]) == 0
        (mended,) = scene.ledger.wait(1, "ran", text="mended")
        assert mended["id"] == mendable
        assert worker.stop() == 0
        letters = scene.rabbit.letters("default", 2)
        reasons = {properties.headers["rmqwork-error-reason"] for _, properties, _ in letters}
        assert reasons == {"invalid-message"}
        for one in (app, forger, plain):
            one.close()


def mapped(pid: int) -> str:
    """The files that a process has in its memory (proc_pid_maps(5))."""
    return Path(f"/proc/{pid}/maps").read_text()
