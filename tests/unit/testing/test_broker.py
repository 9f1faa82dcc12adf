"""Which way to a broker is taken, and what is said about it. No broker is started here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rmqwork.errors import BrokerUnavailable, ConfigurationError
from rmqwork.testing import _docker, _private, broker
from rmqwork.testing._node import (
    BrokerOperationError,
    ProviderUnavailable,
    free_ports,
    server_version,
)


class NodeFixture:
    """A node that is only written down."""

    url = "amqp://guest:guest@127.0.0.1:1/"
    management_url: str | None = None

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def kill(self) -> None:
        self.calls.append("kill")

    def rabbitmqctl(self, *args: str) -> str:
        self.calls.append(" ".join(args))
        return "done"

    def close(self) -> None:
        self.calls.append("close")


def closed(reason: str) -> Callable[..., NodeFixture]:
    def way(*_: object) -> NodeFixture:
        raise ProviderUnavailable(reason)

    return way


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RMQWORK_BROKER", "RMQWORK_TEST_BROKER", "RMQWORK_MANAGEMENT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(broker, "start_docker", closed("no daemon"))
    monkeypatch.setattr(broker, "start_private", closed("nothing installed"))
    monkeypatch.setattr(broker, "server_version", lambda url: "4.3.6")


def test_docker_goes_first(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    monkeypatch.setattr(broker, "start_docker", lambda say: NodeFixture())
    monkeypatch.setattr(broker, "start_private", lambda: pytest.fail("not asked for"))
    found = broker.start_broker(say=said.append)
    assert (found.kind, found.version) == ("docker", "4.3.6")
    assert said == [
        "not given: RMQWORK_BROKER is not set",
        "docker: RabbitMQ 4.3.6 at amqp://guest:***@127.0.0.1:1/:"
        " Docker runs the image rabbitmq:4-management",
    ]


def test_an_installed_server_comes_next_and_says_why_not_docker(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(broker, "start_private", lambda: NodeFixture())
    found = broker.start_broker(say=said.append)
    assert (found.kind, found.why) == (
        "private",
        "rabbitmq-server is installed, and not Docker: no daemon",
    )
    assert said[1] == "not docker: no daemon"


def test_if_nothing_works_the_error_has_each_way_and_what_to_do(said: list[str]) -> None:
    with pytest.raises(BrokerUnavailable) as raised:
        broker.start_broker(say=said.append)
    text = str(raised.value)
    for line in (
        "given: RMQWORK_BROKER is not set",
        "docker: no daemon",
        "private: nothing installed",
        "What to do",
    ):
        assert line in text


def test_a_preferred_way_passes_over_those_before_it(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setenv("RMQWORK_BROKER", "amqp://somewhere/")
    monkeypatch.setattr(broker, "start_docker", lambda say: pytest.fail("passed over"))
    monkeypatch.setattr(broker, "start_private", lambda: NodeFixture())
    assert broker.start_broker(prefer="private", say=said.append).kind == "private"


def test_the_environment_names_the_only_way(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setenv("RMQWORK_TEST_BROKER", "docker")
    monkeypatch.setattr(broker, "start_private", lambda: NodeFixture())
    with pytest.raises(BrokerUnavailable):
        broker.start_broker(say=said.append)
    assert said == ["not docker: no daemon"]


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'podman'"):
        broker.start_broker(prefer="podman")


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BrokerUnavailable):
        broker.start_broker()
    assert capsys.readouterr().err.splitlines()[0] == "broker: not given: RMQWORK_BROKER is not set"


class TestGiven:
    def test_is_taken_as_it_is(self, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
        monkeypatch.setenv("RMQWORK_BROKER", "amqp://me:secret@a:5672/x,amqp://me:secret@b:5672/x")
        found = broker.start_broker(say=said.append)
        assert found.kind == "given"
        assert found.url == os.environ["RMQWORK_BROKER"]
        assert said == [
            "given: RabbitMQ 4.3.6 at amqp://me:***@a:5672/x,amqp://me:***@b:5672/x:"
            " RMQWORK_BROKER is set"
        ]

    def test_that_does_not_answer_is_an_error_and_no_reason_to_take_another(
        self, monkeypatch: pytest.MonkeyPatch, said: list[str]
    ) -> None:
        (port,) = free_ports(1)
        monkeypatch.setenv("RMQWORK_BROKER", f"amqp://me:secret@127.0.0.1:{port}/")
        monkeypatch.setattr(broker, "server_version", server_version)
        monkeypatch.setattr(broker, "start_docker", lambda say: NodeFixture())
        with pytest.raises(BrokerUnavailable, match="RMQWORK_BROKER is set") as raised:
            broker.start_broker(say=said.append)
        assert "secret" not in str(raised.value)

    def test_that_is_no_rabbitmq_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RMQWORK_BROKER", "memory://")
        with pytest.raises(ConfigurationError, match="memory://"):
            broker.start_broker()

    @pytest.mark.parametrize(
        "verb", ["restart", "kill", "start", "stop_app", "start_app", "rabbitmqctl"]
    )
    def test_is_never_broken(self, verb: str) -> None:
        given = broker.Broker("amqp://me:secret@host/", "given", "RMQWORK_BROKER is set", "4.3.6")
        with pytest.raises(BrokerOperationError, match="did not start it") as raised:
            getattr(given, verb)()
        assert "secret" not in str(raised.value)
        given.close()

    def test_without_a_management_api_has_no_virtual_hosts(self) -> None:
        (port,) = free_ports(1)
        given = broker.Broker(f"amqp://me:secret@127.0.0.1:{port}/", "given", "", None)
        with (
            pytest.raises(BrokerOperationError, match="RMQWORK_MANAGEMENT_URL") as raised,
            broker.vhost(given),
        ):
            pass
        assert f":{port + 10000}" in str(raised.value)
        assert "secret" not in str(raised.value)


def test_a_broker_hands_its_verbs_to_its_node() -> None:
    node = NodeFixture()
    with broker.Broker(node.url, "private", "", None, None, node) as own:
        own.restart()
        own.kill()
        own.start()
        own.stop_app()
        own.start_app()
        assert own.rabbitmqctl("status") == "done"
    assert node.calls == [
        *("stop", "start", "kill", "start", "stop_app", "start_app", "status"),
        "close",
    ]


class TestClosedWays:
    def test_docker_without_a_daemon(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
        with pytest.raises(ProviderUnavailable, match="no Docker daemon answers"):
            _docker.start_docker(print)

    def test_docker_without_testcontainers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "testcontainers.core.container", None)
        with pytest.raises(ProviderUnavailable, match=r"pip install 'rmqwork\[testing\]'"):
            _docker.start_docker(print)

    def test_nothing_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_private, "PLACES", ())
        monkeypatch.setenv("PATH", "/nonexistent")
        with pytest.raises(ProviderUnavailable, match="no rabbitmq-server is installed"):
            _private.start_private()

    def test_a_server_that_ends_at_once_is_said_with_its_words(self, tmp_path: Path) -> None:
        server = tmp_path / "rabbitmq-server"
        server.write_text("#!/bin/sh\necho erl: not found\nexit 127\n")
        server.chmod(0o755)
        with pytest.raises(ProviderUnavailable, match=r"ended with 127: erl: not found"):
            _private.PrivateNode(server)
