"""A broker's address: what pika knows of it, and what rmqwork keeps in its query.

The TLS options have the names of RabbitMQ's guide "URI Query Parameters" (``cacertfile``,
``certfile``, ``keyfile``, ``server_name_indication``). Ours beside them: ``username_file`` and
``password_file`` (read at each connect, so that a password can change), ``url_file`` (the whole
address, likewise), and ``declare=false`` for users who may not declare. Settings write them here,
so that all that is needed to connect travels as one text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from rmqwork.errors import ConfigurationError

CA: Final = "cacertfile"
CERT: Final = "certfile"
KEY: Final = "keyfile"
SERVER_NAME: Final = "server_name_indication"
USERNAME_FILE: Final = "username_file"
PASSWORD_FILE: Final = "password_file"
URL_FILE: Final = "url_file"
DECLARE: Final = "declare"
OPTIONS: Final = frozenset(
    {CA, CERT, KEY, SERVER_NAME, USERNAME_FILE, PASSWORD_FILE, URL_FILE, DECLARE}
)


def with_options(url: str, options: Mapping[str, str]) -> str:
    """An address with options in its query; those that it has already stay as they are."""
    parts = urlsplit(url)
    had = parse_qsl(parts.query, keep_blank_values=True)
    names = {name for name, _ in had}
    more = [(name, value) for name, value in options.items() if name not in names]
    if not more:
        return url
    query = "&".join(filter(None, (parts.query, urlencode(more, quote_via=quote))))
    return urlunsplit(parts._replace(query=query))


def without_option(url: str, name: str) -> str:
    """An address without one of our options."""
    plain, options = split_options(url)
    options.pop(name, None)
    return with_options(plain, options)


def split_options(url: str) -> tuple[str, dict[str, str]]:
    """An address without our options, and the options."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    ours = {name: value for name, value in pairs if name in OPTIONS}
    if not ours:
        return url, {}
    rest = urlencode([pair for pair in pairs if pair[0] not in OPTIONS], quote_via=quote)
    return urlunsplit(parts._replace(query=rest)), ours


def current(urls: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Addresses as their files say now, each without our options, and the options.

    Raises:
        OSError: a file cannot be read.
        ConfigurationError: a file has not what it should have.
    """
    found: dict[str, dict[str, str]] = {}
    for url in urls:
        plain, options = split_options(url)
        path = options.pop(URL_FILE, None)
        for one in [plain] if path is None else _addresses_in(path):
            bare, own = split_options(one)
            merged = {**options, **own}
            found.setdefault(_with_credentials(bare, merged), merged)
    return list(found.items())


def _with_credentials(url: str, options: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    user, password = parts.username, parts.password
    if USERNAME_FILE in options:
        user = quote(read_secret(options[USERNAME_FILE]), safe="")
    if PASSWORD_FILE in options:
        password = quote(read_secret(options[PASSWORD_FILE]), safe="")
    if user is None and password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user or 'guest'}:{password or ''}@{host}"))


def read_addresses(path: str) -> list[str]:
    """The addresses in a file, separated by commas or white space.

    Raises:
        ConfigurationError: there are none, or the file cannot be read.
    """
    try:
        return _addresses_in(path)
    except OSError as error:
        raise ConfigurationError(
            f"the broker's address cannot be read from {path!r}: {error.strerror or error}"
        ) from None


def _addresses_in(path: str) -> list[str]:
    found = read_secret(path).replace(",", " ").split()
    if not found:
        raise ConfigurationError(f"the file {path!r} has no broker's address")
    return found


def read_secret(path: str) -> str:
    """What a file holds, without the line end that editors leave.

    Raises:
        OSError: it cannot be read.
    """
    return Path(path).read_text(encoding="utf-8").strip("\r\n")


def vhost_of(urls: Sequence[str]) -> str:
    """The virtual host of a broker's addresses."""
    return unquote(urlsplit(urls[0]).path[1:]) or "/"
