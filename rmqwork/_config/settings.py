"""`Settings`: from arguments, then ``RMQWORK_…`` variables, then a file, in that order.

No pydantic: the worker process reads settings, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, TypedDict

from rmqwork._config import addresses, celery_names, readers, result_addresses
from rmqwork._config.readers import mask
from rmqwork.errors import ConfigurationError

DEFAULT_BROKER: Final = "amqp://guest:guest@localhost:5672/"
LogFormat = Literal["auto", "human", "json"]
EventLoop = Literal["asyncio", "uvloop"]
_PREFIX: Final = "RMQWORK_"
_FILE_VARIABLE: Final = "RMQWORK_CONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an app and its workers behave. Times are in seconds.

    Each has a variable ``RMQWORK_<NAME>`` and a key in ``rmqwork.toml`` or in ``[tool.rmqwork]`` of
    ``pyproject.toml`` in the working directory (or in the file that ``RMQWORK_CONFIG`` names).

    Args:
        broker: addresses of one broker or cluster; several are separated by commas in a variable.
        broker_file: a file with the broker's addresses, read again at each connect; instead of
            ``broker``.
        username_file: a file with the user's name for all addresses, read likewise.
        password_file: a file with the password, read likewise: it may change.
        tls_ca: a file with the authorities that may sign the broker's certificate (``amqps://``);
            None = the system's.
        tls_cert: a file with our client certificate, for mutual TLS.
        tls_key: a file with its key, if it is not in the same file.
        tls_server_name: the name that the broker's certificate is for; None = the address's host.
        declare: whether workers and publishers declare the topology, or only see that it is there.
        management_url: ``http://user:password@host:15672`` of the broker's management API, for the
            verbs of operators; None = where it mostly is, with the broker's user.
        results: where results are kept: ``rpc://``, ``redis://…``, ``postgresql://…``, ``mysql://…``,
            ``sqlite:///…``; None = nowhere.
        results_ttl: how long a result is kept.
        track_started: whether a result says that its task has started (``STARTED``), which costs a
            reply, or a write into the store, each.
        app: the app of the command line, ``module:attribute``.
        publish_timeout: how long a publish waits for the broker and its confirm.
        max_message_size: bytes of a body at most.
        compress_above: bytes of a body above which it is compressed with zstd (``10kB``; extra
            ``rmqwork[zstd]``); None = none is. Steps of a workflow never are.
        heartbeat: between heartbeats; None = what the broker says.
        concurrency: tasks at once in the threads of one executor process.
        async_concurrency: async tasks at once on the event loop of one executor process.
        processes: executor processes of a worker.
        prefetch: messages that a worker holds; None = what its executors can start soon.
        grace: how long a worker that stops waits for the tasks that run.
        termination_grace: after how long a worker that stops is killed, whatever it does
            (``terminationGracePeriodSeconds`` of its pod); None = not known.
        unknown_task_grace: how long a message of an unknown task waits for a worker that knows it.
        join_ttl: how long a group may take from its start until its last member has ended, if
            something comes after it.
        broker_wait: how long a worker that starts waits for the broker.
        health_port: of the health checks and metrics; None = none.
        max_tasks: tasks after which an executor process is replaced by a fresh one; None = never.
        max_memory: bytes of memory above which it is (``400MB``, ``1GiB``; Linux); None = any.
        event_loop: of coroutine tasks: ``asyncio``, or ``uvloop`` (extra ``rmqwork[uvloop]``).
        log_format: ``auto`` (human on a terminal), ``human`` or ``json``.
    """

    broker: tuple[str, ...] = readers.setting((DEFAULT_BROKER,), readers.broker_addresses)
    broker_file: str | None = readers.setting(None, readers.text)
    username_file: str | None = readers.setting(None, readers.text)
    password_file: str | None = readers.setting(None, readers.text)
    tls_ca: str | None = readers.setting(None, readers.text)
    tls_cert: str | None = readers.setting(None, readers.text)
    tls_key: str | None = readers.setting(None, readers.text)
    tls_server_name: str | None = readers.setting(None, readers.text)
    declare: bool = readers.setting(True, readers.truth)
    management_url: str | None = readers.setting(None, readers.web_address)
    results: str | None = readers.setting(None, result_addresses.check_address)
    results_ttl: float = readers.setting(86400.0, readers.seconds(above=True))
    track_started: bool = readers.setting(False, readers.truth)
    app: str | None = readers.setting(None, readers.text)
    publish_timeout: float = readers.setting(30.0, readers.seconds(above=True))
    max_message_size: int = readers.setting(16 * 1024 * 1024, readers.count(1))
    compress_above: int | None = readers.setting(None, readers.size)
    heartbeat: int | None = readers.setting(None, readers.count(0, 65535))
    concurrency: int = readers.setting(8, readers.count(1, 10_000))
    async_concurrency: int = readers.setting(100, readers.count(1, 1_000_000))
    processes: int = readers.setting(1, readers.count(1, 1000))
    prefetch: int | None = readers.setting(None, readers.count(1, 65535))
    grace: float = readers.setting(25.0, readers.seconds(above=False))
    termination_grace: float | None = readers.setting(None, readers.seconds(above=False))
    unknown_task_grace: float = readers.setting(600.0, readers.seconds(above=False))
    join_ttl: float = readers.setting(86400.0, readers.seconds(above=True))
    broker_wait: float = readers.setting(60.0, readers.seconds(above=False))
    health_port: int | None = readers.setting(None, readers.count(0, 65535))
    max_tasks: int | None = readers.setting(None, readers.count(1))
    max_memory: int | None = readers.setting(None, readers.size)
    event_loop: EventLoop = readers.setting("asyncio", readers.one_of(EventLoop))
    log_format: LogFormat = readers.setting("auto", readers.one_of(LogFormat))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, passwords included."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """The settings of `to_dict`'s values."""
        return cls(**{**values, "broker": tuple(values["broker"])})

    def reached(self, urls: Sequence[str]) -> tuple[str, ...]:
        """Addresses with all that these settings say of how they are reached."""
        options = {
            addresses.USERNAME_FILE: self.username_file,
            addresses.PASSWORD_FILE: self.password_file,
            addresses.CA: self.tls_ca,
            addresses.CERT: self.tls_cert,
            addresses.KEY: self.tls_key,
            addresses.SERVER_NAME: self.tls_server_name,
            addresses.DECLARE: None if self.declare else "false",
        }
        said = {name: value for name, value in options.items() if value is not None}
        return tuple(
            url if url.startswith("memory:") else addresses.with_options(url, said) for url in urls
        )

    def __repr__(self) -> str:
        shown = {**self.to_dict(), "broker": tuple(mask(url) for url in self.broker)}
        shown["results"] = self.results and mask(self.results)
        shown["management_url"] = self.management_url and mask(self.management_url)
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    one.name: one.metadata["read"] for one in fields(Settings)
}


class SettingsArguments(TypedDict, total=False):
    """The settings that ``App(...)`` takes by name; see `Settings`."""

    results_ttl: float | None
    track_started: bool | None
    publish_timeout: float | None
    max_message_size: int | None
    compress_above: int | str | None
    heartbeat: int | None
    concurrency: int | None
    async_concurrency: int | None
    processes: int | None
    prefetch: int | None
    grace: float | None
    unknown_task_grace: float | None
    join_ttl: float | None
    broker_wait: float | None
    health_port: int | None
    max_tasks: int | None
    max_memory: int | str | None
    event_loop: EventLoop | None
    log_format: LogFormat | None


def load_settings(
    arguments: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Settings:
    """The settings of this process.

    Args:
        arguments: what the caller says; None as a value = nothing said.
        environ: the variables; default: those of the process.
        directory: where to look for a file; default: the working directory.

    Raises:
        ConfigurationError: a setting is unknown or wrong; the text names it and its source.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for source, found in _file(environ, directory or Path()):
        for name, value in found.items():
            values[name] = _value(name, value, f"{name} in {source}")
    for name in _READERS:
        text = environ.get(_PREFIX + name.upper())
        if text is not None and text.strip():
            values[name] = _value(name, text.strip(), _PREFIX + name.upper())
    values.update(check_arguments(arguments or {}))
    settings = Settings(**values)
    return replace(settings, broker=settings.reached(_addresses(settings)))


def _addresses(settings: Settings) -> tuple[str, ...]:
    """The broker's addresses; those of a file name it, so that it is read again."""
    if settings.broker_file is None:
        return settings.broker
    found = _value("broker", addresses.read_addresses(settings.broker_file), settings.broker_file)
    options = {addresses.URL_FILE: settings.broker_file}
    return tuple(addresses.with_options(url, options) for url in readers.broker_addresses(found))


def check_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Settings given as arguments, checked; those that are None are left out.

    Raises:
        ConfigurationError: one is unknown or wrong.
    """
    return {
        name: _value(name, value, f"argument {name}")
        for name, value in arguments.items()
        if value is not None
    }


def _file(environ: Mapping[str, str], directory: Path) -> list[tuple[str, dict[str, Any]]]:
    named = environ.get(_FILE_VARIABLE)
    if named:
        path = Path(named)
        if not path.is_file():
            raise ConfigurationError(f"{_FILE_VARIABLE} names {named!r}, which is no file")
        return [(named, _table(path))]
    for name in ("rmqwork.toml", "pyproject.toml"):
        path = directory / name
        if path.is_file() and (found := _table(path)):
            return [(name, found)]
    return []


def _table(path: Path) -> dict[str, Any]:
    """The settings in a file: its ``[tool.rmqwork]``, or all of it if it is ours alone."""
    content = path.read_bytes()
    ours = path.name != "pyproject.toml"
    if not ours and b"rmqwork" not in content:
        return {}
    import tomllib

    try:
        data = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        if not ours:
            return {}  # not our file, and others will complain
        raise ConfigurationError(f"{path.name} cannot be read: {error}") from None
    table: Any = data.get("tool", {}).get("rmqwork", data if ours else {})
    if not isinstance(table, dict):
        raise ConfigurationError(f"tool.rmqwork in {path.name} is no table")
    return table


def _value(name: str, value: object, where: str) -> object:
    reader = _READERS.get(name)
    if reader is None:
        raise ConfigurationError(
            f"{where}: there is no such setting; there are {', '.join(sorted(_READERS))}"
            f"{celery_names.of_apps([name])}"
        )
    try:
        return reader(value)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from None
