"""A server of images that is as unreliable as other people's servers are."""

from __future__ import annotations

import os
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self


class FlakySource(ThreadingHTTPServer):
    """Serves the files of a folder over HTTP; some of them only after a few refusals.

    ``/flaky/<n>/<file>`` answers 503 the first n times, ``/gone/<file>`` always, and ``/<file>``
    never.

    Args:
        folder: the folder whose files are served.
        host: name by which others reach it; it listens on all addresses if that is not localhost.
    """

    daemon_threads = True

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        super().__init__(("127.0.0.1" if host in ("127.0.0.1", "localhost") else "", 0), _Handler)
        self.folder = folder
        self.url = f"http://{host}:{self.server_port}"
        self._refused: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, name="flaky source")

    def refuses(self, key: str, times: int) -> bool:
        """Count a request for ``key``; return True for the first ``times`` of them."""
        with self._lock:
            self._refused[key] += 1
            return self._refused[key] <= times

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FlakySource  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """Answer one request."""
        name, refused = "", False
        match self.path.strip("/").split("/"):
            case ["flaky", times, name] if times.isdigit():
                refused = self.server.refuses(self.path, int(times))
            case ["gone", name]:
                refused = True
            case [name]:
                pass
        path = self.server.folder / os.path.basename(name)
        if refused:
            self.send_error(503, "Too busy, try again later")
        elif not name or not path.is_file():
            self.send_error(404)
        else:
            data = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the refusals are part of the demo."""
