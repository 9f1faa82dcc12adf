from __future__ import annotations

import marshal
import subprocess
import sys
from typing import get_type_hints

import pytest

from rmqwork import App, ConfigurationError
from rmqwork._config.readers import mask
from rmqwork._config.settings import (
    DEFAULT_BROKER,
    Settings,
    SettingsArguments,
    load_settings,
)


def load(tmp_path, arguments=None, **variables):
    environ = {f"RMQWORK_{name.upper()}": value for name, value in variables.items()}
    return load_settings(arguments, environ, tmp_path)


def test_without_a_word_the_defaults_hold(tmp_path):
    settings = load(tmp_path)

    assert settings == Settings()
    assert settings.broker == (DEFAULT_BROKER,)
    assert (settings.publish_timeout, settings.grace, settings.unknown_task_grace) == (30, 25, 600)
    assert (settings.concurrency, settings.async_concurrency, settings.processes) == (8, 100, 1)
    assert settings.prefetch is None


def test_arguments_go_before_variables_before_the_file(tmp_path):
    (tmp_path / "rmqwork.toml").write_text(
        'broker = "amqp://file/"\ngrace = 1\nconcurrency = 1\nprocesses = 3\n'
    )

    settings = load(tmp_path, {"concurrency": 3, "grace": None}, grace="2.5", concurrency="2")

    assert settings.broker == ("amqp://file/",)
    assert settings.concurrency == 3
    assert settings.grace == 2.5
    assert settings.processes == 3


def test_pyproject_has_a_table_of_ours(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.rmqwork]\napp = "shop.app:app"\n')

    assert load(tmp_path).app == "shop.app:app"


@pytest.mark.parametrize("text", ["", "[tool.other]\nx = 1\n", 'name = "rmqwork"\n', "rmqwork = ["])
def test_other_peoples_pyproject_says_nothing(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)

    assert load(tmp_path) == Settings()


def test_a_variable_names_the_file(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text("[tool.rmqwork]\nprefetch = 10\n")

    assert load(tmp_path, config=str(path)).prefetch == 10
    with pytest.raises(ConfigurationError, match="RMQWORK_CONFIG names 'nope', which is no file"):
        load(tmp_path, config="nope")


def test_several_addresses(tmp_path):
    two = ("amqp://a/", "amqps://b/")

    assert load(tmp_path, broker="amqp://a/, amqps://b/").broker == two
    assert load(tmp_path, {"broker": ["amqp://a/", "amqps://b/"]}).broker == two


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("grace", "soon", "RMQWORK_GRACE: 'soon' is no number"),
        ("grace", "-1", "0 or more seconds"),
        ("grace", "inf", "is no number"),
        ("publish_timeout", "0", "above 0 seconds"),
        ("concurrency", "0", "RMQWORK_CONCURRENCY: '0' must be a whole number from 1"),
        ("concurrency", "1.5", "whole number"),
        ("health_port", "70000", "from 0 to 65535"),
        ("log_format", "xml", "not one of auto, human, json"),
        ("max_tasks", "0", "whole number from 1"),
        ("max_memory", "much", "RMQWORK_MAX_MEMORY: 'much' is no size"),
        ("broker", "http://a/", "is no broker's address"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path, name, value, says):
    with pytest.raises(ConfigurationError, match=says):
        load(tmp_path, **{name: value})


def test_memory_has_a_unit(tmp_path):
    assert load(tmp_path, max_memory="512MiB").max_memory == 512 << 20
    assert load(tmp_path, {"max_memory": 1000}).max_memory == 1000


def test_a_wrong_or_unknown_setting_of_a_file_is_named(tmp_path):
    file = tmp_path / "rmqwork.toml"

    file.write_text("conurrency = 3\n")
    with pytest.raises(ConfigurationError, match=r"conurrency in rmqwork.toml: there is no such"):
        load(tmp_path)

    file.write_text("concurrency = true\n")
    with pytest.raises(ConfigurationError, match=r"concurrency in rmqwork.toml: True is no number"):
        load(tmp_path)

    file.write_text("concurrency =\n")
    with pytest.raises(ConfigurationError, match=r"rmqwork.toml cannot be read"):
        load(tmp_path)


def test_a_wrong_argument_is_refused_by_the_app_at_once():
    with pytest.raises(ConfigurationError, match="argument grace: -1 must be"):
        App("shop", grace=-1)
    with pytest.raises(ConfigurationError, match="argument colour: there is no such setting"):
        App("shop", colour="red")  # type: ignore[call-arg]


def test_an_app_reads_the_variables(monkeypatch):
    monkeypatch.setenv("RMQWORK_BROKER", "amqp://elsewhere/")

    assert App("shop").settings.broker == ("amqp://elsewhere/",)
    assert App("shop", broker="amqp://here/").settings.broker == ("amqp://here/",)


def test_no_password_is_printed(tmp_path):
    settings = load(tmp_path, broker="amqp://me:s3cret@a/,amqps://you:oth3r@b/v")

    assert "s3cret" not in repr(settings)
    assert "oth3r" not in repr(settings)
    assert "amqp://me:***@a/" in repr(settings)
    assert mask("amqp://a/") == "amqp://a/"
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, broker="http://me:s3cret@a/")
    assert "s3cret" not in str(caught.value)


def test_settings_travel_as_plain_values(tmp_path):
    settings = load(tmp_path, broker="amqp://a/", prefetch="3")

    assert Settings.from_dict(marshal.loads(marshal.dumps(settings.to_dict()))) == settings


def test_the_worker_process_reads_them_without_pydantic():
    code = (
        "import sys, rmqwork._config.settings, rmqwork._config.manifest;"
        "import rmqwork._tasks.retry, rmqwork._messages.options;"
        "assert not {'pydantic', 'tenacity', 'pika'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


NO_ARGUMENTS = {
    "app", "broker_file", "declare", "management_url", "password_file", "termination_grace",
    "tls_ca", "tls_cert", "tls_key", "tls_server_name", "username_file",
}  # fmt: skip
"""Settings of the place where an app runs: variables and files say them, and no code."""


def test_an_app_takes_the_settings_by_name_in_the_types_that_they_have():
    settings, arguments = get_type_hints(Settings), get_type_hints(SettingsArguments)

    parameters = {"broker", "results"}  # of App itself
    assert set(arguments) == set(settings) - NO_ARGUMENTS - parameters
    for name, taken in arguments.items():
        as_text = {"compress_above", "max_memory"}  # "10kB"
        also = str | None if name in as_text else None
        assert taken == settings[name] | also, name


def test_no_password_is_shown():
    settings = load_settings({"results": "redis://:secret@h/0"}, {})
    assert "secret" not in repr(settings)
