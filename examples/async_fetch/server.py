"""A slow web API for the example: ``python -m async_fetch.server 8000``.

``GET /items/<n>`` answers ``{"price": n}`` after 0.2 s, or after as many seconds as a second
argument says; ``GET /stats`` at once, with the number of
requests so far and the most that there were at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

_LATENCY: Final = 0.2  # seconds


class Api:
    """Answers, and counts.

    Args:
        latency: seconds that an answer takes.
    """

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._open = 0
        self._most = 0
        self._served = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, request after request (HTTP/1.1)."""
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                path = request.split(b" ", 2)[1].decode()
                answer = await self._answer(path)
                body = json.dumps(answer or {"error": "no such item"}).encode()
                status = "200 OK" if answer else "404 Not Found"
                head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left
        finally:
            writer.close()

    async def _answer(self, path: str) -> dict[str, int] | None:
        if path == "/stats":
            return {"served": self._served, "most_at_once": self._most}
        number = path.removeprefix("/items/")
        if not number.isdigit():
            return None
        self._open += 1
        self._most = max(self._most, self._open)
        try:
            await asyncio.sleep(self._latency)
        finally:
            self._open -= 1
        self._served += 1
        return {"price": int(number)}


async def main(port: int, latency: float) -> None:
    """Serve on localhost until interrupted; says its address, also for port 0 (any free one)."""
    server = await asyncio.start_server(Api(latency).serve, "127.0.0.1", port, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(
        main(
            int(given[0]) if given else 8000,
            float(given[1]) if len(given) > 1 else _LATENCY,
        )
    )
