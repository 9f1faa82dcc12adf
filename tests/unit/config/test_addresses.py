"""A broker's address, its options, and the files that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmqwork._config.addresses import (
    current,
    read_addresses,
    split_options,
    vhost_of,
    with_options,
    without_option,
)
from rmqwork._config.settings import load_settings
from rmqwork.errors import ConfigurationError

URL = "amqps://user:p%40ss@rabbit:5671/prod?heartbeat=10"


def test_options_come_and_go_without_touching_the_rest() -> None:
    dressed = with_options(URL, {"cacertfile": "/a b/ca&.pem", "declare": "false"})
    assert split_options(dressed) == (URL, {"cacertfile": "/a b/ca&.pem", "declare": "false"})
    assert with_options(dressed, {"declare": "true"}) == dressed  # what it says itself counts
    assert split_options(without_option(dressed, "declare"))[1] == {"cacertfile": "/a b/ca&.pem"}
    assert split_options(URL) == (URL, {})
    assert vhost_of([dressed]) == "prod"
    assert vhost_of(["amqp://host"]) == "/"


def test_files_are_read_anew_each_time(tmp_path: Path) -> None:
    user, password = tmp_path / "user", tmp_path / "password"
    user.write_text("shop\n")
    password.write_text("p@ss/1\r\n")
    url = with_options(
        "amqp://rabbit/prod", {"username_file": str(user), "password_file": str(password)}
    )
    assert current([url])[0][0] == "amqp://shop:p%40ss%2F1@rabbit/prod"
    password.write_text("p@ss/2")
    assert current([url])[0][0] == "amqp://shop:p%40ss%2F2@rabbit/prod"


def test_a_file_with_the_addresses_of_a_cluster(tmp_path: Path) -> None:
    path = tmp_path / "broker"
    path.write_text("amqp://a/v,\namqp://b/v?cacertfile=/b.pem\n")
    environ = {"RMQWORK_BROKER_FILE": str(path), "RMQWORK_TLS_CA": "/ca.pem"}
    settings = load_settings(environ=environ, directory=tmp_path)
    assert current(settings.broker) == [
        ("amqp://a/v", {"cacertfile": "/ca.pem"}),
        ("amqp://b/v", {"cacertfile": "/b.pem"}),
    ]
    # and when the cluster grows, the next connect knows it
    path.write_text("amqp://a/v amqp://c/v")
    assert {url for url, _ in current(settings.broker)} == {"amqp://a/v", "amqp://c/v"}


def test_a_file_without_an_address(tmp_path: Path) -> None:
    path = tmp_path / "broker"
    with pytest.raises(ConfigurationError, match=r"cannot be read from .*No such file"):
        read_addresses(str(path))
    path.write_text("\n")
    with pytest.raises(ConfigurationError, match="has no broker's address"):
        read_addresses(str(path))


def test_what_settings_say_goes_into_every_address(tmp_path: Path) -> None:
    environ = {
        "RMQWORK_BROKER": "amqps://a/,amqps://b/?certfile=/own.pem",
        "RMQWORK_TLS_CERT": "/client.pem",
        "RMQWORK_DECLARE": "false",
    }
    settings = load_settings(environ=environ, directory=tmp_path)
    options = [split_options(url)[1] for url in settings.broker]
    assert options == [
        {"certfile": "/client.pem", "declare": "false"},
        {"certfile": "/own.pem", "declare": "false"},
    ]
    # a worker's --broker is reached the same way, and memory:// has no such things
    assert settings.reached(["amqps://c/"]) == ("amqps://c/?certfile=%2Fclient.pem&declare=false",)
    assert settings.reached(["memory://"]) == ("memory://",)


@pytest.mark.parametrize("text", ["maybe", "2"])
def test_declare_is_a_truth(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"RMQWORK_DECLARE: .* neither true nor false"):
        load_settings(environ={"RMQWORK_DECLARE": text}, directory=tmp_path)
