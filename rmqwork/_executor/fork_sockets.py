"""Sockets that the import of the app has connected, which executors must not share.

Two processes that read one stream read one another's answers. So the template forks no executor
while it holds one; datagrams have no order to lose, and only deserve a warning.
"""

from __future__ import annotations

import gc
import os
import socket
import stat
from contextlib import suppress
from typing import Final, NamedTuple

_Socket: Final = socket.socket
"""As it was before the app's import, which may replace it (gevent)."""

VARIABLE: Final = "RMQWORK_FORK_SOCKETS"
ALLOW: Final = "allow"
_STREAMS: Final = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)
_NETWORK: Final = (socket.AF_INET, socket.AF_INET6)
_WRITE_ONLY: Final = ("/dev/log", "/run/systemd/journal/", "/var/run/syslog", "/run/log")
"""Streams of whole lines that nobody answers: sharing them is as harmless as datagrams."""
_FORK_SAFE: Final = ("/var/lib/sss/pipes/", "/run/nscd/", "/var/run/nscd/")
"""Name services, whose client in the C library looks whether it has been forked."""
_MAX_SCANNED_FD: Final = 4096
"""Descriptors looked at where nothing lists the open ones."""


class ConnectedSocket(NamedTuple):
    """A connected socket of this process.

    Args:
        fd: its descriptor.
        peer: to whom it is connected, for people.
        stream: whether sharing it mixes up answers.
    """

    fd: int
    peer: str
    stream: bool

    def __str__(self) -> str:
        return f"{self.peer} (descriptor {self.fd})"


def open_sockets() -> dict[int, int]:
    """The inode of each socket of this process, by descriptor."""
    found = {}
    for fd in _open_fds():
        with suppress(OSError):
            status = os.fstat(fd)
            if stat.S_ISSOCK(status.st_mode):
                found[fd] = status.st_ino
    return found


def connected_since(before: dict[int, int]) -> list[ConnectedSocket]:
    """The sockets that have been connected by what ran since, apart from pairs within this process.

    Args:
        before: the `open_sockets` of then: ours, and those that this process was started with.
    """
    if not _connected(before):
        return []
    gc.collect()  # what is only garbage is closed by it; the template collects none by itself
    return _connected(before)


def refusal(path: str, found: list[ConnectedSocket]) -> str | None:
    """Why no executor can be forked; None if one can.

    Args:
        path: of the app.
        found: what its import has connected.
    """
    if os.environ.get(VARIABLE) == ALLOW:
        return None
    if not (peers := [str(one) for one in found if one.stream]):
        return None
    return (
        f"the import of {path!r} has opened a connection to {', '.join(peers)}; executors forked"
        " from it would share it and read one another's answers: open it in the lifespan, or use"
        f" --no-preload ({VARIABLE}={ALLOW} forks all the same)"
    )


def warning(found: list[ConnectedSocket]) -> str | None:
    """What is to be said of sockets that executors may share; None: nothing."""
    if not found:
        return None
    peers = ", ".join(map(str, found))
    return f"the app's import has opened sockets that its executors share: {peers}"


def _open_fds() -> list[int]:
    for listing in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return [int(name) for name in os.listdir(listing)]
    return list(range(min(os.sysconf("SC_OPEN_MAX"), _MAX_SCANNED_FD)))


def _connected(before: dict[int, int]) -> list[ConnectedSocket]:
    new = [fd for fd, inode in open_sockets().items() if before.get(fd) != inode]
    sockets: list[socket.socket] = []
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(None)  # with one, the sockets would be made non-blocking here
    try:
        for fd in new:
            with suppress(OSError):
                sockets.append(_Socket(fileno=fd))
        own_names = {name for one in sockets if (name := _name(one))}
        described = [_describe(one, own_names) for one in sockets]
    finally:
        for one in sockets:
            one.detach()
        socket.setdefaulttimeout(timeout)
    return [one for one in described if one is not None]


def _name(sock: socket.socket) -> object:
    with suppress(OSError):
        return sock.getsockname()
    return None


def _describe(sock: socket.socket, own_names: set[object]) -> ConnectedSocket | None:
    """Whether a socket is one to mind: connected to somebody else who is still there."""
    try:
        peer: object = sock.getpeername()
    except OSError:  # not connected, or listening
        return None
    stream = sock.type in _STREAMS
    if sock.family in _NETWORK:
        assert isinstance(peer, tuple)
        if peer in own_names or (stream and _has_ended(sock)):
            return None
        host = f"[{peer[0]}]" if ":" in peer[0] else peer[0]
        return ConnectedSocket(sock.fileno(), f"{host}:{peer[1]}", stream)
    if sock.family == socket.AF_UNIX:
        place = os.fsdecode(peer) if isinstance(peer, (str, bytes)) else ""
        if not place or peer in own_names or place.startswith(_FORK_SAFE):
            return None  # a pair, as each event loop has one
        if stream and _has_ended(sock):
            return None
        stream = stream and not place.startswith(_WRITE_ONLY)
        return ConnectedSocket(sock.fileno(), place.replace("\0", "@"), stream)
    if not stream:  # netlink, packets: the kernel's
        return None
    return ConnectedSocket(sock.fileno(), str(peer), stream)


def _has_ended(sock: socket.socket) -> bool:
    """Whether the peer has closed it, so that nobody can read anything but its end."""
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except OSError:
        return False
