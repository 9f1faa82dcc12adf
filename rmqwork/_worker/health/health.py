"""Probes over HTTP: ``/startupz``, ``/livez`` and ``/readyz``; and ``/metrics``.

Started: the app is imported and an executor has been ready. Live: the I/O loop turns, and the
executors answer; a broker that is away makes no pod restart. Ready: connected and consuming.
Served by a thread of the worker process, in which no task runs, so that nothing can starve it.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from time import monotonic
from typing import Any, Final, Protocol

from rmqwork._worker.health.metrics import CONTENT_TYPE, exposition
from rmqwork.errors import ConfigurationError

STALLED: Final = 10.0
"""Seconds without a turn of the I/O loop after which a worker is not live."""
_PATHS: Final = "/startupz, /livez, /readyz or /metrics"
_TRIES: Final = 5


class Liveness(Protocol):
    """Whether executors answer; see `rmqwork._worker.processes.liveness.LivenessCheck`."""

    @property
    def alive(self) -> bool:
        """Whether there is an executor that may be hoped for."""
        ...

    @property
    def silent(self) -> Mapping[int, float]:
        """Those that have not answered in time: process and seconds."""
        ...


class Observed(Protocol):
    """A worker, as far as probes are concerned."""

    last_tick: float

    @property
    def liveness(self) -> Liveness:
        """Of its executors."""
        ...

    def detail(self) -> Mapping[str, Any]:
        """What probes are told."""
        ...


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
            self._server = _listen(port, handler)
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


class _Server(ThreadingHTTPServer):
    """Over IPv4, and asks no name server for its own name: in a pod that may take seconds."""

    def server_bind(self) -> None:
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "", self.server_address[1]


class _DualServer(_Server):
    """Over IPv4 and IPv6: the kubelet comes by the pod's address, whatever its family."""

    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def _listen(port: int, handler: type[BaseHTTPRequestHandler]) -> _Server:
    if socket.has_dualstack_ipv6():
        try:
            return _DualServer(("", port), handler)
        except OSError:  # no such addresses here, or the port is taken: then the next one says so
            pass
    return _Server(("", port), handler)


class _Handler(BaseHTTPRequestHandler):
    worker: Observed
    timeout = 10.0

    def do_GET(self) -> None:
        """Answer one probe."""
        path = self.path.partition("?")[0]
        if path == "/livez":
            self._answer(*self._live())
        elif path in ("/readyz", "/startupz"):
            detail = self._detail()
            consuming = bool(detail["consuming"] and not detail["stopping"])
            self._answer(consuming if path == "/readyz" else bool(detail["started"]), detail)
        elif path == "/metrics":
            self._send(200, CONTENT_TYPE, exposition(self._detail(), self._live()[0]).encode())
        else:
            self._answer_404()

    def _live(self) -> tuple[bool, Mapping[str, Any]]:
        stalled = monotonic() - self.worker.last_tick
        liveness = self.worker.liveness
        detail = {"loop_turned_s_ago": round(stalled, 3), "silent_executors": dict(liveness.silent)}
        return stalled < STALLED and liveness.alive, detail

    def _detail(self) -> Mapping[str, Any]:
        """What the worker says of itself, which goes on changing meanwhile."""
        for _ in range(_TRIES):
            try:
                return self.worker.detail()
            except RuntimeError:  # a mapping changed its size
                continue
        return self.worker.detail()

    def _answer(self, good: bool, detail: Mapping[str, Any]) -> None:
        body = json.dumps({"ok": good, **detail}).encode()
        self._send(200 if good else 503, "application/json", body)

    def _answer_404(self) -> None:
        self._send(404, "application/json", json.dumps({"error": f"use {_PATHS}"}).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes are not logged."""
