"""Look up the addresses of brokers, even while the interpreter ends.

asyncio looks names up in a thread. A program that publishes and ends at once may come to its end
before the connection is made, and from then on no thread can be started; so what was published
last would never leave. Then names are looked up where the event loop runs: nothing else does.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

_Question = tuple[str, int, int, int, int]


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
