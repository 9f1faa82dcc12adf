"""Probes over HTTP: ``/livez`` and ``/readyz``.

Live: the I/O loop turns. A broker that is away makes no pod restart. Ready: connected and
consuming. Served by a thread of its own, so that a busy loop cannot starve it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any, Final, Protocol

from rmqwork.errors import ConfigurationError

STALLED: Final = 10.0
"""Seconds without a turn of the I/O loop after which a worker is not live."""


class Observed(Protocol):
    """A worker, as far as probes are concerned."""

    last_tick: float

    def detail(self) -> Mapping[str, Any]:
        """What probes are told."""


class HealthServer:
    """Answers probes until closed.

    Args:
        worker: what is observed.
        port: to listen on, on all addresses; 0 = any free one.

    Raises:
        ConfigurationError: the port cannot be had.
    """

    def __init__(self, worker: Observed, port: int) -> None:
        handler = type("Handler", (_Handler,), {"worker": worker})
        try:
            self._server = ThreadingHTTPServer(("", port), handler)
        except OSError as error:
            raise ConfigurationError(f"health port {port} cannot be used: {error}") from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="rmqwork-health", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    worker: Observed

    def do_GET(self) -> None:
        """Answer one probe."""
        stalled = monotonic() - self.worker.last_tick
        if self.path == "/livez":
            self._answer(stalled < STALLED, {"loop_turned_s_ago": round(stalled, 3)})
        elif self.path == "/readyz":
            detail = self.worker.detail()
            self._answer(bool(detail["consuming"] and not detail["stopping"]), detail)
        else:
            self.send_error(404, "use /livez or /readyz")

    def _answer(self, good: bool, detail: Mapping[str, Any]) -> None:
        body = json.dumps({"ok": good, **detail}).encode()
        self.send_response(200 if good else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes are not logged."""
