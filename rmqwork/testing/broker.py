"""A RabbitMQ for the demo, the tests and the benchmarks: one way to get one, for all of them.

The ways, in this order; each says on standard error whether it was taken, and why not:

1. ``given``: the broker that ``RMQWORK_BROKER`` names. If it is set, nothing else is tried.
2. ``docker``: a container of ``RMQWORK_RABBITMQ_IMAGE`` (``rabbitmq:4-management``).
3. ``private``: an installed ``rabbitmq-server``, as a private node on free ports.

Nothing is ever installed, and what was started leaves nothing behind: not on :meth:`Broker.close`,
not on an exception, Ctrl-C or SIGTERM, and not after SIGKILL of this process, for a child process
watches over it::

    with start_broker() as broker, vhost(broker) as url:
        ...
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, get_args
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from rmqwork._admin.management import Management, ManagementError, likely_urls
from rmqwork.errors import BrokerUnavailable, ConfigurationError
from rmqwork.testing._docker import image_name, start_docker
from rmqwork.testing._node import (
    BrokerOperationError,
    Kind,
    Node,
    ProviderUnavailable,
    Say,
    server_version,
    without_password,
)
from rmqwork.testing._private import start_private

__all__ = ["Broker", "BrokerOperationError", "Kind", "start_broker", "vhost"]


@dataclass(frozen=True, eq=False)
class Broker:
    """A RabbitMQ to work with; get one from :func:`start_broker`.

    A broker of the kind ``given`` is somebody else's: it is used, never restarted, killed or
    stopped (:class:`BrokerOperationError`). As a context manager it is closed at the end.
    """

    url: str
    """Its AMQP URL, on the virtual host ``/``; the same after every restart."""
    kind: Kind
    """Which way it was got."""
    why: str
    """Why this way: one line for people."""
    version: str | None
    """RabbitMQ's version, ``4.3.6``, or None when the server does not tell."""
    management_url: str | None = None
    """Its management API with user and password, or None when that is not known."""
    _node: Node | None = field(default=None, repr=False)

    def restart(self) -> None:
        """Shut the broker down in good order and start it again; returns when it serves."""
        node = self._own("restart")
        node.stop()
        node.start()

    def kill(self) -> None:
        """SIGKILL the broker, as a crash or the kernel's memory killer would; see :meth:`start`."""
        self._own("kill").kill()

    def start(self) -> None:
        """Start a killed broker again, with its data and ports; returns when it serves."""
        self._own("start").start()

    def pause(self) -> None:
        """Freeze the broker: connections stand, and nobody answers; see :meth:`resume`."""
        self._own("pause").pause()

    def resume(self) -> None:
        """The counterpart of :meth:`pause`."""
        self._own("resume").resume()

    def stop_app(self) -> None:
        """Stop RabbitMQ inside the running Erlang node: all connections are closed."""
        self.rabbitmqctl("stop_app")

    def start_app(self) -> None:
        """The counterpart of :meth:`stop_app`."""
        self.rabbitmqctl("start_app")

    def rabbitmqctl(self, *args: str) -> str:
        """Run ``rabbitmqctl -q`` with these arguments and return its output.

        Each call costs a second of CPU and more; for what the management API can do, use that.
        """
        return self._own("run rabbitmqctl on").rabbitmqctl(*args)

    def close(self) -> None:
        """Remove what was started: processes, container, files. Again: nothing."""
        if self._node is not None:
            self._node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _own(self, verb: str) -> Node:
        if self._node is None:
            raise BrokerOperationError(
                f"cannot {verb} the broker at {without_password(self.url)}: rmqwork did not start"
                " it. Unset RMQWORK_BROKER to have one started."
            )
        return self._node


def start_broker(*, prefer: str | None = None, say: Say | None = None) -> Broker:
    """Find a broker or start one.

    Args:
        prefer: the way to begin with (``given``, ``docker``, ``private``); the ways before it are
            passed over. Without it, ``RMQWORK_TEST_BROKER`` may name the only way
            to be tried; without that as well, all are.
        say: takes each line that says what was chosen and why; default: standard error.

    Raises:
        BrokerUnavailable: no way leads to a broker; the message has each with its reason.
        ConfigurationError: the way named is none, or ``RMQWORK_BROKER`` no AMQP URL.
    """
    say = say or _to_stderr
    closed: list[tuple[str, str]] = []
    for kind in _ways(prefer, os.environ.get("RMQWORK_TEST_BROKER")):
        try:
            broker = _START[kind](closed, say)
        except ProviderUnavailable as reason:
            closed.append((kind, str(reason)))
            say(f"not {kind}: {reason}")
            continue
        version = broker.version or "of unknown version"
        say(f"{kind}: RabbitMQ {version} at {without_password(broker.url)}: {broker.why}")
        return broker
    raise _no_way(closed)


@contextlib.contextmanager
def vhost(broker: Broker) -> Iterator[str]:
    """A fresh virtual host on the broker, for one test; deleted with all that is in it.

    On a broker of the kind ``given`` this needs its management plugin, at
    ``RMQWORK_MANAGEMENT_URL`` (``http://user:password@host:port``), or at port 15672 or the AMQP
    port + 10000 with the AMQP URL's user, who must be an administrator.

    Yields:
        The AMQP URL of the virtual host.

    Raises:
        BrokerOperationError: it cannot be made there.
    """
    name = f"rmqwork-{secrets.token_hex(6)}"
    user = unquote(urlsplit(broker.url).username or "guest")
    management = _create(broker, name, user)
    try:
        yield ",".join(_on_vhost(url, name) for url in broker.url.split(","))
    finally:
        try:
            management.delete_vhost(name)
        except ManagementError as error:
            # A test may end with its broker down, and then its vhost goes with the broker.
            _to_stderr(f"the virtual host {name} stays behind: {error}")


def _create(broker: Broker, name: str, user: str) -> Management:
    """Make the virtual host by the first management API that does it."""
    reasons = []
    for url in [broker.management_url] if broker.management_url else likely_urls(broker.url):
        management = Management(url)
        try:
            management.create_vhost(name, user)
        except ManagementError as error:
            reasons.append(str(error))
        else:
            return management
    raise BrokerOperationError(
        f"cannot make a virtual host on {without_password(broker.url)}: {'; '.join(reasons)}."
        " Name its management API in RMQWORK_MANAGEMENT_URL (http://user:password@host:port, an"
        " administrator's), or unset RMQWORK_BROKER to have a broker started."
    )


def _on_vhost(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path="/" + quote(name, safe="")))


def _ways(first: str | None, only: str | None) -> Sequence[Kind]:
    kinds: tuple[Kind, ...] = get_args(Kind)
    named = first or only
    if not named:
        return kinds
    for position, kind in enumerate(kinds):
        if kind == named:
            return kinds[position:] if first else (kind,)
    raise ConfigurationError(
        f"no way to a broker is called {named!r}: the ways are {', '.join(kinds)}"
    )


def _given(closed: Sequence[tuple[str, str]], say: Say) -> Broker:
    url = os.environ.get("RMQWORK_BROKER")
    if not url:
        raise ProviderUnavailable("RMQWORK_BROKER is not set")
    first = url.split(",")[0]
    if urlsplit(first).scheme not in ("amqp", "amqps"):
        raise ConfigurationError(
            f"RMQWORK_BROKER is {without_password(first)!r}, and a RabbitMQ is needed here:"
            " amqp://user:password@host:port/vhost, or unset it to have one started"
        )
    try:
        version = server_version(first)
    except OSError as error:
        # Whoever names a broker wants that one, and no other without a word.
        raise BrokerUnavailable(
            f"RMQWORK_BROKER is set, and no RabbitMQ answers at {without_password(first)}: {error}."
            " Start it, or unset RMQWORK_BROKER to have one started."
        ) from None
    management = os.environ.get("RMQWORK_MANAGEMENT_URL") or None
    return Broker(url, "given", "RMQWORK_BROKER is set", version, management)


def _docker(closed: Sequence[tuple[str, str]], say: Say) -> Broker:
    return _broker(start_docker(say), "docker", f"Docker runs the image {image_name()}")


def _private(closed: Sequence[tuple[str, str]], say: Say) -> Broker:
    node = start_private()
    return _broker(node, "private", _because(closed, "rabbitmq-server is installed"))


def _because(closed: Sequence[tuple[str, str]], why: str) -> str:
    tried = dict(closed)
    return f"{why}, and not Docker: {tried['docker']}" if "docker" in tried else why


def _broker(node: Node, kind: Kind, why: str) -> Broker:
    try:
        version = server_version(node.url)
    except BaseException:
        node.close()
        raise
    return Broker(node.url, kind, why, version, node.management_url, node)


_START: dict[Kind, Callable[[Sequence[tuple[str, str]], Say], Broker]] = {
    "given": _given,
    "docker": _docker,
    "private": _private,
}


def _no_way(closed: Sequence[tuple[str, str]]) -> BrokerUnavailable:
    lines = [f"  {kind}: {reason}" for kind, reason in closed]
    return BrokerUnavailable(
        "\n".join(
            [
                "no RabbitMQ could be found or started. What was tried:",
                *lines,
                "What to do, whichever suits: set RMQWORK_BROKER=amqp://user:password@host:5672/;"
                " start Docker, with the image named by RMQWORK_RABBITMQ_IMAGE; or install"
                " rabbitmq-server.",
            ]
        )
    )


def _to_stderr(line: str) -> None:
    print(f"broker: {line}", file=sys.stderr, flush=True)
