"""The management API where something else answers."""

from __future__ import annotations

import socket
import threading

import pytest

from rmqwork._admin.management import Management, ManagementError


def test_what_does_not_speak_http_is_an_error_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as client:
                client.recv(4096)
                client.sendall(b"AMQP\x00\x00\x09\x01")

        thread = threading.Thread(target=answer)
        thread.start()
        port = server.getsockname()[1]

        with pytest.raises(ManagementError, match="does not speak HTTP"):
            Management(f"http://127.0.0.1:{port}").call("GET", "whoami", timeout=10)
        thread.join()
