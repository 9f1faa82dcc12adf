"""Look up the addresses of brokers, even while the interpreter ends.

asyncio looks names up in a thread. A program that publishes and ends at once may come to its end
before the connection is made, and from then on no thread can be started; so what was published
last would never leave. Then names are looked up where the event loop runs: nothing else does.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from pika.adapters.asyncio_connection import _AsyncioIOServicesAdapter

_Question = tuple[str, int, int, int, int]


class IOServices(_AsyncioIOServicesAdapter):
    """pika's way to the event loop, with names looked up by `lookup`."""

    def getaddrinfo(
        self,
        host: str,
        port: int,
        on_done: Callable[..., None],
        family: int = 0,
        socktype: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Look up a name; see pika's."""
        return self._schedule_and_wrap_in_io_ref(
            lookup((host, port, family, socktype, proto), flags), on_done
        )


async def lookup(question: _Question, flags: int = 0) -> list[Any]:
    """The addresses of a host, as `socket.getaddrinfo` gives them.

    Raises:
        OSError: it is not known.
    """
    try:
        return socket.getaddrinfo(*question, flags | socket.AI_NUMERICHOST)  # asks nobody
    except socket.gaierror:
        pass
    try:
        found = asyncio.get_running_loop().run_in_executor(
            None, socket.getaddrinfo, *question, flags
        )
    except RuntimeError:  # no threads any more
        return socket.getaddrinfo(*question, flags)
    return await found
