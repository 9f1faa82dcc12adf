"""Where AMQP connections come from: the addresses, the credentials, and why none answered."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import pika
from pika import exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from rmqwork._config.addresses import DECLARE, SERVER_NAME, current
from rmqwork._transport import tls
from rmqwork._transport.amqp.connect_race import first_of
from rmqwork._transport.amqp.link import AmqpLink
from rmqwork._transport.log_relay import relay_logs
from rmqwork.errors import BrokerUnavailable, ConfigurationError

_CONNECT_TIMEOUT: Final = 10.0
_NEXT: Final = 0.5
"""Seconds after which the next address is tried beside the one before."""
_PORTS: Final = {"amqp": 5672, "amqps": 5671}


_pika = logging.getLogger("pika")
if _pika.level == logging.NOTSET:
    # pika logs each failed attempt as an ERROR with a traceback; rmqwork says it in one line.
    _pika.setLevel(logging.CRITICAL)
relay_logs("pika")


class AmqpConnector:
    """Opens connections to one of several addresses of a broker or cluster.

    Args:
        urls: ``amqp://user:password@host:port/vhost`` or ``amqps://…``, with pika's options and
            those of `rmqwork._config.addresses` as the query. Files that they name are read at each
            connect: passwords and certificates may change.
        heartbeat: seconds; replaces what the addresses say.
    """

    def __init__(self, urls: Sequence[str], heartbeat: int | None = None) -> None:
        self._urls = tuple(urls)
        self._heartbeat = heartbeat
        self._labels = [place.label for place in self._places()]

    @property
    def label(self) -> str:
        """The addresses without passwords."""
        return ", ".join(self._labels)

    def _places(self) -> list[_Place]:
        """Where to connect to, as the files say now."""
        try:
            return [
                _Place.of(url, options, self._heartbeat) for url, options in current(self._urls)
            ]
        except OSError as error:
            raise ConfigurationError(
                f"a file that the broker's address names cannot be read: {error.filename}: "
                f"{error.strerror or error}"
            ) from None

    async def open(self, name: str) -> AmqpLink:
        """Open a connection; see the port."""
        try:
            places = self._places()
        except ConfigurationError as error:  # a file is being replaced: it will be there again
            raise BrokerUnavailable(str(error)) from None
        attempts = [partial(_attempt, place, name) for place in random.sample(places, len(places))]
        link, reasons = await first_of(attempts, _NEXT)
        if link is not None:
            return link
        raise BrokerUnavailable(
            "no connection to the broker ("
            + "; ".join(reasons)
            + "); is it running, and is the address (RMQWORK_BROKER) right?"
        )


async def _attempt(place: _Place, name: str) -> AmqpLink | str:
    """Connect to one address; returns the link, or why there is none."""
    place.parameters.client_properties = {
        "connection_name": name,
        "product": "rmqwork",
        "platform": "Python",
    }
    try:
        # Not `wait_for`: on Python 3.11 it swallows a cancellation that comes just as the
        # connection opens.
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            return await AmqpLink.open(place.parameters, place.declares)
    except TimeoutError:
        return f"{place.label}: no answer within {_CONNECT_TIMEOUT:g} s"
    except (exceptions.AMQPError, OSError, AMQPConnectorException) as error:
        return f"{place.label}: {_explain(error, place)}"


@dataclass(frozen=True, slots=True)
class _Place:
    """One address, ready to be connected to."""

    label: str
    parameters: pika.URLParameters
    options: Mapping[str, str]

    @classmethod
    def of(cls, url: str, options: Mapping[str, str], heartbeat: int | None) -> _Place:
        return cls(_label(url), _parameters(url, options, heartbeat), options)

    @property
    def declares(self) -> bool:
        return self.options.get(DECLARE, "true").lower() not in ("false", "no", "0")

    @property
    def server_name(self) -> str:
        return self.options.get(SERVER_NAME) or str(self.parameters.host)


def _parameters(url: str, options: Mapping[str, str], heartbeat: int | None) -> pika.URLParameters:
    try:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS:
            raise ValueError(f"unknown scheme {parts.scheme!r}; use amqp:// or amqps://")
        if not parts.hostname:
            raise ValueError("it names no host")
        _port(parts)
        parameters = pika.URLParameters(url)
        if parts.scheme == "amqps" and "ssl_options" not in parts.query:
            name = options.get(SERVER_NAME) or parts.hostname
            parameters.ssl_options = pika.SSLOptions(tls.make_context(options), name)
    except Exception as error:
        raise ConfigurationError(
            f"the broker address {_label(url)} cannot be used: {error}"
        ) from None
    if heartbeat is not None:
        parameters.heartbeat = heartbeat
    parameters.connection_attempts = 1
    parameters.retry_delay = 0
    parameters.blocked_connection_timeout = None
    return parameters


def _port(parts: SplitResult) -> int:
    """The port; what stands in its place is not shown: it may be a piece of a password."""
    try:
        return parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise ValueError(
            "it has the form amqp://user:password@host:port/vhost; in names and passwords write "
            "/ as %2F, @ as %40 and : as %3A"
        ) from None


def _label(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = _port(parts)
        user = f"{parts.username}@" if parts.username else ""
        return f"{parts.scheme}://{user}{parts.hostname}:{port}{parts.path.split('?')[0] or '/'}"
    except ValueError:
        return "(unreadable)"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it was made from; pika nests them in their arguments."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, (list, tuple)):
            waiting += item
        elif isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting += [*item.args, getattr(item, "exceptions", ()), getattr(item, "exception", ())]
            waiting += [item.__cause__, item.__context__]


def _explain(error: BaseException, place: _Place) -> str:
    causes = list(_causes(error))
    parameters = place.parameters
    user = getattr(parameters.credentials, "username", "?")
    for cause in causes:
        meaning = tls.explain(cause, place.server_name, place.options)
        if meaning is not None:
            return meaning
    for cause in causes:
        text = str(cause)
        if isinstance(cause, exceptions.ProbableAuthenticationError) or "ACCESS_REFUSED" in text:
            return f"login refused for user {user!r}"
        if isinstance(cause, exceptions.ProbableAccessDeniedError) or (
            isinstance(cause, exceptions.ConnectionClosedByBroker) and cause.reply_code == 530
        ):
            host = parameters.virtual_host
            return f"user {user!r} may not use virtual host {host!r}, or there is none"
        if isinstance(cause, exceptions.IncompatibleProtocolError):
            return "what answers there does not speak AMQP 0-9-1"
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    last = causes[-1]
    return str(last) or type(last).__name__
