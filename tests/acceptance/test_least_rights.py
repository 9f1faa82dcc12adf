"""Users that can do what a worker, a publisher, an operator needs, and nothing else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from rmqwork._admin.provision.looking import whole_plan
from rmqwork._admin.provision.rights import Role, rights_of
from rmqwork._topology.topology import DeclareQueue
from rmqwork._transport.connecting import connect
from rmqwork._transport.port import ChannelClosed
from rmqwork.errors import ConfigurationError
from rmqwork.testing.broker import Broker
from rmqwork.types import Publication, Verdict
from tests.acceptance.apps import work
from tests.acceptance.support import WORK, Worker, WorkerHarness, manage
from tests.certificates import Authority, TlsPort

ROLES: Final = get_args(Role)


@pytest.fixture
def users(broker: Broker, vhost_url: str) -> Iterator[dict[str, str]]:
    """The address of a user of each kind."""
    management, place = manage(broker, vhost_url)
    app = work.make(["default"], vhost_url)
    parts = urlsplit(vhost_url)
    host = parts.netloc.rpartition("@")[2]
    made = {}
    password = secrets.token_hex(8)
    for role, rights in rights_of(app, whole_plan(app)).items():
        user = f"{role}-{parts.path[1:]}"
        management.call("PUT", f"users/{quote(user)}", {"password": password, "tags": ""})
        management.call("PUT", f"permissions/{place}/{quote(user)}", rights.as_values())
        made[role] = urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))
    yield made
    for role in ROLES:
        management.call("DELETE", f"users/{quote(f'{role}-{parts.path[1:]}')}")


async def _make_topology(url: str) -> None:
    link = await connect([url]).open("operator")
    await link.declare(whole_plan(work.make(["default"], url)))
    await link.close()


def test_each_can_do_its_work_over_mutual_tls(
    users: dict[str, str], vhost_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMQWORK_RESULTS", "rpc://")
    # Given an operator who makes the topology, and a worker that may not
    asyncio.run(_make_topology(users["operator"]))
    ca = Authority(tmp_path)
    client = ca.issue("client")
    password = tmp_path / "password"
    parts = urlsplit(users["worker"])
    password.write_text(f"{parts.password}\n")
    scene = WorkerHarness(vhost_url, tmp_path)
    server = ca.issue("server", ["localhost"])
    with scene, TlsPort(users["worker"].replace(f":{parts.password}", ""), server, ca.cert) as port:
        environment = {
            "RMQWORK_TLS_CA": str(ca.cert),
            "RMQWORK_TLS_CERT": str(client.cert),
            "RMQWORK_TLS_KEY": str(client.key),
            "RMQWORK_PASSWORD_FILE": str(password),
            "RMQWORK_RESULTS": "rpc://",
        }
        worker = scene.worker("--no-declare", url=port.url, env=environment)
        scene.rabbit.wait_consumed("default")

        # When a publisher with no other right publishes: at once, delayed, failing, to be retried
        app = work.make(["default"], f"{users['publisher']}?declare=false")
        assert app.tasks["work.mark"].delay(key="now").get(timeout=30) is None
        app.tasks["work.mark"].options(countdown=0.2).delay(key="later")
        app.tasks["work.flaky"].delay(failures=1)
        app.tasks["work.rejects"].delay()
        app.close()

        # Then all of it runs, and what fails is a dead letter
        scene.ledger.wait(3, "ran")
        scene.rabbit.wait_ready("default.dlq", 1)
        assert worker.stop() == 0
        assert not worker.log("refused")


async def test_none_can_do_more(users: dict[str, str], vhost_url: str) -> None:
    await _make_topology(users["operator"])

    async def consumes(role: str, queue: str) -> bool:
        link = await connect([users[role]]).open(role)
        try:
            channel = await link.open_consuming(lambda _: None)
            await channel.get(queue)
        except ChannelClosed as closed:
            return closed.code != 403
        finally:
            await link.close()
        return True

    async def declares(role: str) -> bool:
        link = await connect([users[role]]).open(role)
        try:
            await link.declare([DeclareQueue("mine", {"x-queue-type": "quorum"})])
        except ConfigurationError:
            return False
        finally:
            await link.close()
        return True

    assert [await consumes(role, "default.dlq") for role in ROLES] == [False, False, True]
    assert [await consumes(role, "default") for role in ROLES] == [True, False, True]
    assert [await declares(role) for role in ROLES] == [False, False, False]


async def test_a_publisher_cannot_write_past_the_exchanges(users: dict[str, str]) -> None:
    await _make_topology(users["operator"])
    link = await connect([users["publisher"]]).open("publisher")
    channel = await link.open_publishing()
    verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    publication = Publication("", "default", b"{}", "id")
    channel.publish(publication, lambda found, _: verdict.set_result(found))
    assert await asyncio.wait_for(verdict, 10) is Verdict.REFUSED
    await link.close()


def test_a_worker_that_may_not_declare_says_what_is_missing(vhost_url: str, tmp_path: Path) -> None:
    scene = WorkerHarness(vhost_url, tmp_path)
    with scene, Worker(vhost_url, scene.ledger, "--no-declare", app=WORK) as worker:
        assert worker.wait() == 2
        assert "run 'rmqwork topology apply' as one who may" in worker.said
