"""``rmqwork doctor`` on a real broker: silent, and then with planted faults."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from rmqwork._cli.program import main
from rmqwork.testing.broker import Broker
from tests.acceptance.support import Rabbit, manage
from tests.waiting import until

APP = """
from rmqwork import App, Queue

app = App("shop", queues=[Queue("high"), Queue("low")])
"""


class Doctor:
    """Runs the verb in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, url: str) -> tuple[int, dict[str, Any]]:
        self._monkeypatch.setenv("RMQWORK_BROKER", url)
        sys.modules.pop("doctor_app", None)
        self._capsys.readouterr()
        code = main(["doctor", "doctor_app:app", "--json"])
        return code, json.loads(self._capsys.readouterr().out)


@pytest.fixture
def doctor(
    tmp_path: Path,
    vhost_url: str,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Doctor:
    (tmp_path / "doctor_app.py").write_text(APP)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RMQWORK_BROKER", vhost_url)
    if broker.management_url:
        monkeypatch.setenv("RMQWORK_MANAGEMENT_URL", broker.management_url)
    sys.modules.pop("doctor_app", None)
    assert main(["topology", "apply", "doctor_app:app"]) == 0
    return Doctor(monkeypatch, capsys)


def checks(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["check"], one["subject"]) for one in report["findings"]}


def test_silent_and_then_with_planted_faults(
    doctor: Doctor, vhost_url: str, broker: Broker, broker_version: tuple[int, ...]
) -> None:
    # Given a good set-up, which is silent
    code, report = doctor(vhost_url)
    old = broker_version < (3, 13)
    assert {name for name, _ in checks(report)} == ({"version"} if old else set())
    assert (code, report["unknown"]) == (5 if old else 0, [])

    # When faults are planted
    management, place = manage(broker, vhost_url)
    definition = {"expires": 3_600_000, "delivery-limit": 5, "message-ttl": 3_600_000}
    policy = {"pattern": "^low$", "definition": definition, "apply-to": "queues"}
    management.call("PUT", f"policies/{place}/planted", policy)
    rabbit = Rabbit(vhost_url)
    channel = rabbit.channel
    channel.queue_delete("high")
    arguments = {"x-queue-type": "quorum", "x-dead-letter-exchange": ""}
    arguments["x-dead-letter-routing-key"] = "high.dlq"
    channel.queue_declare("high", durable=True, arguments=arguments)
    channel.queue_delete("low.dlq")
    channel.queue_declare("low.migrating", durable=True)
    rabbit.close()

    # Then each is found; what a policy does is told late
    planted = {
        ("policy", "low"),
        ("delivery-limit", "low"),
        ("delivery-limit", "high") if broker_version >= (4,) else ("version", ""),
        ("dead-letter-strategy", "high"),
        ("topology-missing", "low.dlq"),
        ("migration", "low"),
    } - {("version", "")}
    until(lambda: not planted - checks(doctor(vhost_url)[1]), "all findings", every=0.5)
    code, report = doctor(vhost_url)
    assert code == 6
    assert all(one["fix"] for one in report["findings"])
    said = {one["text"] for one in report["findings"] if one["check"] == "policy"}
    assert any("expires" in text for text in said)
    assert any("message-ttl" in text for text in said)


def test_rights_are_tried_and_what_cannot_be_looked_at_is_told(
    doctor: Doctor, vhost_url: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    management, place = manage(broker, vhost_url)
    parts = urlsplit(vhost_url)
    user = f"doctor-{parts.path[1:]}"
    management.call("PUT", f"users/{quote(user)}", {"password": "x", "tags": ""})
    rights = {"configure": "^$", "write": "^rmqwork\\.tasks$", "read": "^low$"}
    management.call("PUT", f"permissions/{place}/{quote(user)}", rights)
    host = parts.netloc.rpartition("@")[2]
    url = urlunsplit(parts._replace(netloc=f"{user}:x@{host}"))
    monkeypatch.setenv("RMQWORK_MANAGEMENT_URL", "http://127.0.0.1:1")
    rabbit = Rabbit(vhost_url)
    try:
        code, report = doctor(url)
        assert code == 6
        texts = {one["check"]: one["text"] for one in report["findings"]}
        assert "read right on queue 'high'" in texts["permission-read"]
        assert "'low'" not in texts["permission-read"]
        assert "'amq.default'" in texts["permission-write"]
        assert "permission-configure" in texts
        assert "the management API does not answer" in report["unknown"][0]
        # and trying has changed nothing
        assert [rabbit.ready(name) for name in ("high", "low", "rmqwork.unroutable")] == [0] * 3
    finally:
        rabbit.close()
        management.call("DELETE", f"users/{quote(user)}")
