"""TLS with a private authority, and credentials from files."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from rmqwork._cli.program import main
from rmqwork._config.addresses import with_options
from rmqwork._config.settings import load_settings
from rmqwork._transport.connecting import connect
from rmqwork.errors import BrokerUnavailable, ConfigurationError
from rmqwork.testing.broker import Broker
from tests.acceptance.support import manage
from tests.certificates import Authority, Certificate, TlsPort


@dataclass
class Trust:
    """An authority, and what it has signed."""

    ca: Authority
    server: Certificate
    client: Certificate


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    folder = tmp_path_factory.mktemp("trust")
    ca = Authority(folder)
    return Trust(ca, ca.issue("server", ["localhost"]), ca.issue("client"))


async def refusal(url: str, **options: object) -> str:
    """What a connection attempt says, which must be one line."""
    url = with_options(url, {name: str(value) for name, value in options.items()})
    with pytest.raises(BrokerUnavailable) as caught:
        await connect([url]).open("test")
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_client_certificate_and_a_private_authority(vhost_url: str, trust: Trust) -> None:
    with TlsPort(vhost_url, trust.server, trust.ca.cert) as port:
        options = {
            "tls_ca": trust.ca.cert,
            "tls_cert": trust.client.cert,
            "tls_key": trust.client.key,
        }
        arguments = {name: str(path) for name, path in options.items()}
        settings = load_settings({"broker": port.url, **arguments}, environ={})
        link = await connect(settings.broker).open("test")
        assert await link.depth("nothing") is None
        await link.close()

        # one without any, one of another authority, and one that has expired
        said = await refusal(port.url, cacertfile=trust.ca.cert)
        assert "wants a client certificate; name it in RMQWORK_TLS_CERT" in said
        folder = trust.ca.cert.parent
        foreign = Authority(folder, "other").issue("foreign")
        said = await refusal(
            port.url, cacertfile=trust.ca.cert, certfile=foreign.cert, keyfile=foreign.key
        )
        assert "does not know who signed our client certificate" in said
        old = trust.ca.issue("old-client", left=-datetime.timedelta(days=1))
        said = await refusal(port.url, cacertfile=trust.ca.cert, certfile=old.cert, keyfile=old.key)
        assert "our client certificate has expired" in said


async def test_each_fault_of_a_server_certificate_is_one_line(vhost_url: str, trust: Trust) -> None:
    ca = trust.ca
    with TlsPort(vhost_url, trust.server) as port:
        assert "signed by no authority in the system's list; name its CA in RMQWORK_TLS_CA" in (
            await refusal(port.url)
        )
        by_number = port.url.replace("localhost", "127.0.0.1")
        said = await refusal(by_number, cacertfile=ca.cert)
        assert "the broker's certificate is not for '127.0.0.1'; use a name that it is for" in said
        named = {"cacertfile": str(ca.cert), "server_name_indication": "localhost"}
        link = await connect([with_options(by_number, named)]).open("test")
        await link.close()
        assert "does not speak AMQP" in await refusal(port.url.replace("amqps", "amqp"))
    with TlsPort(vhost_url, ca.issue("old", ["localhost"], -datetime.timedelta(days=1))) as port:
        said = await refusal(port.url, cacertfile=ca.cert)
        assert "the broker's certificate has expired; renew it on the broker" in said
    plain = vhost_url.replace("amqp://", "amqps://")
    assert "what answers there speaks no TLS" in await refusal(plain, cacertfile=ca.cert)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cacertfile": "/not/there"}, "the CA file '/not/there' cannot be used: No such file"),
        ({"certfile": "/not/there"}, "the client certificate '/not/there' cannot be used"),
        ({"keyfile": "/some/key"}, "the key '/some/key' has no certificate"),
        ({"password_file": "/not/there"}, "/not/there: No such file"),
    ],
)
def test_files_that_cannot_be_used_are_told_at_once(options: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect([with_options("amqps://user:secret@localhost/", options)])
    assert text in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_password_that_changes_is_read_again(
    vhost_url: str, broker: Broker, tmp_path: Path
) -> None:
    # Given a user, whose password and address are in files
    management, place = manage(broker, vhost_url)
    user = f"u-{urlsplit(vhost_url).path[1:]}"
    password, address = tmp_path / "password", tmp_path / "address"
    parts = urlsplit(vhost_url)
    host = parts.netloc.rpartition("@")[2]
    address.write_text(f"amqp://{user}@{host}{parts.path}\n")

    def set_password(text: str) -> None:
        management.call("PUT", f"users/{quote(user)}", {"password": text, "tags": ""})
        rights = {"configure": "", "write": "", "read": ""}
        management.call("PUT", f"permissions/{place}/{quote(user)}", rights)
        password.write_text(f"{text}\n")

    try:
        set_password("first p@ss/word")
        environ = {"RMQWORK_BROKER_FILE": str(address), "RMQWORK_PASSWORD_FILE": str(password)}
        settings = load_settings(environ=environ, directory=tmp_path)
        connector = connect(settings.broker)
        await (await connector.open("test")).close()
        assert "p@ss" not in f"{settings!r} {connector.label}"

        # When the password changes, then the next connection has the new one
        set_password("second")
        await (await connector.open("test")).close()

        # and while the file is old, the line says who was refused
        password.write_text("first")
        with pytest.raises(BrokerUnavailable, match=f"login refused for user '{user}'"):
            await connector.open("test")
    finally:
        management.call("DELETE", f"users/{quote(user)}")


def test_the_command_line_says_it_in_one_line(
    vhost_url: str,
    trust: Trust,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tls_app.py").write_text("from rmqwork import App\napp = App('a', queues=['q'])\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with TlsPort(vhost_url, trust.server) as port:
        monkeypatch.setenv("RMQWORK_BROKER", port.url)
        assert main(["queues", "tls_app:app"]) == 4
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "RMQWORK_TLS_CA" in said.err
    assert "guest:guest" not in said.err
