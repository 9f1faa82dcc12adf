"""A server of images that is as unreliable as other people's servers are."""

from __future__ import annotations

import os
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self


class FlakySource:
    """Serves the files of a folder over HTTP; some of them only after a few refusals.

    ``/flaky/<n>/<file>`` answers 503 the first n times, ``/gone/<file>`` always, and ``/<file>``
    never.

    Args:
        folder: whose files are served.
        host: under which others reach it; it listens on all addresses if that is not localhost.
        port: 0 = any free one.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        refused: Counter[str] = Counter()
        lock = threading.Lock()

        class Handler(_Handler):
            def refuses(self, key: str, times: int) -> bool:
                with lock:
                    refused[key] += 1
                    return refused[key] <= times

        Handler.folder = folder
        bind = "127.0.0.1" if host in ("127.0.0.1", "localhost") else ""
        self._server = ThreadingHTTPServer((bind, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="flaky source")
        self.url = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    folder: Path

    def refuses(self, key: str, times: int) -> bool:
        """Whether this request, one of those for ``key``, is among the first ``times``."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer one request."""
        match self.path.strip("/").split("/"):
            case ["flaky", times, name] if times.isdigit():
                refused = self.refuses(self.path, int(times))
            case ["gone", name]:
                refused = True
            case [name]:
                refused = False
            case _:
                name, refused = "", False
        path = self.folder / os.path.basename(name)
        if refused:
            self.send_error(503, "Too busy, try again later")
        elif not name or not path.is_file():
            self.send_error(404)
        else:
            self._send(path.read_bytes())

    def _send(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the refusals are part of the play."""
