"""What every way to a broker shares: the port to a node, free TCP ports, a look at a server."""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import time
from collections.abc import Callable
from typing import Literal, Protocol
from urllib.parse import urlsplit, urlunsplit

from rmqwork.errors import RmqworkError

Kind = Literal["given", "docker", "private"]
Say = Callable[[str], None]

READY = 90.0  # seconds that a node may take to boot; 5 to 11 were seen, on a busy machine 40

# Below the range from which Linux takes the ports of outgoing connections (32768 and up): a port
# of a node that was killed must still be free when it comes back.
_PORTS = range(20000, 32000)
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


class ProviderUnavailable(Exception):
    """This way to a broker does not work here; the text says why."""


class BrokerOperationError(RmqworkError):
    """This broker cannot do what was asked, mostly because rmqwork did not start it."""


class Node(Protocol):
    """A RabbitMQ node that can be broken and mended."""

    url: str
    management_url: str | None

    def start(self) -> None:
        """Start the node again on the ports it had; return when it serves clients."""

    def stop(self) -> None:
        """Shut the node down in good order."""

    def kill(self) -> None:
        """SIGKILL the node; return when it is gone."""

    def pause(self) -> None:
        """Freeze the node."""

    def resume(self) -> None:
        """Let it go on."""

    def rabbitmqctl(self, *args: str) -> str:
        """Run ``rabbitmqctl`` on the node and return what it printed."""
        ...

    def close(self) -> None:
        """Remove the node and all that belongs to it."""


def without_password(url: str) -> str:
    """The URL (or several, with commas), fit for a message: ``***`` for each password."""
    if "," in url:
        return ",".join(without_password(one) for one in url.split(","))
    parts = urlsplit(url)
    if parts.password is None:
        return url
    _, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Ports that nobody listens on now and that the kernel gives to nobody by itself."""
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        for port in random.sample(_PORTS, len(_PORTS)):
            probe = held.enter_context(socket.socket())
            # As servers set it: a port whose old connections are in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((address, port))
                ports.append(port)
            if len(ports) == count:
                return ports
    raise ProviderUnavailable(f"no {count} free TCP ports between {_PORTS.start} and {_PORTS.stop}")


def server_version(url: str, timeout: float = 5.0) -> str | None:
    """Ask an AMQP server for its version, without logging in.

    The server's first frame, ``connection.start``, carries its properties (AMQP 0-9-1, section
    1.4.2.1), of which this reads the one named ``version``.

    Args:
        url: an ``amqp://`` or ``amqps://`` URL.
        timeout: seconds for each step on the network.

    Returns:
        The version, or None for an AMQP server that does not tell.

    Raises:
        OSError: nobody answers there, or not with AMQP 0-9-1.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "amqps"
    address = (parts.hostname or "localhost", parts.port or (5671 if secure else 5672))
    with contextlib.ExitStack() as held:
        wire = held.enter_context(socket.create_connection(address, timeout))
        if secure:  # only a look: whether the certificate is good is for the real connection
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            wire = held.enter_context(context.wrap_socket(wire, server_hostname=address[0]))
        wire.sendall(_PROTOCOL_HEADER)
        stream = held.enter_context(wire.makefile("rb"))
        head = stream.read(7)  # type, channel (2 bytes), size (4 bytes)
        if len(head) < 7 or head[:1] != b"\x01":
            raise ConnectionError(f"what answers at {address[0]}:{address[1]} is no AMQP 0-9-1")
        start = stream.read(int.from_bytes(head[3:7], "big"))
    _, found, after = start.partition(b"\x07versionS")
    if not found:
        return None
    return after[4 : 4 + int.from_bytes(after[:4], "big")].decode()


def wait_until_ready(
    url: str, more: Callable[[], bool], gone: Callable[[], str | None], timeout: float = READY
) -> None:
    """Wait until a node serves AMQP clients and ``more`` holds as well.

    Args:
        url: the node's AMQP URL.
        more: a further condition, asked once the node speaks AMQP.
        gone: why the node will not come any more, or None while it may.
        timeout: seconds.

    Raises:
        ProviderUnavailable: it did not come, with the reason.
    """
    end = time.monotonic() + timeout
    reason = "it does not answer"
    while time.monotonic() < end:
        if (ended := gone()) is not None:
            raise ProviderUnavailable(ended)
        try:
            server_version(url)
            if more():
                return
            reason = "it speaks AMQP, and its management plugin does not answer"
        except OSError as error:
            reason = str(error)
        time.sleep(0.1)
    raise ProviderUnavailable(f"not ready after {timeout:.0f} s: {reason}")


def wait_until_silent(url: str, timeout: float = 20.0) -> None:
    """Wait until nobody answers at the URL any more."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            server_version(url, timeout=1.0)
        except OSError:
            return
        time.sleep(0.05)
    raise BrokerOperationError(
        f"{without_password(url)} still answers {timeout:.0f} s after it was stopped"
    )
