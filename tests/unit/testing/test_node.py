"""What is seen of a server before anybody logs in."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from rmqwork.testing._node import (
    ProviderUnavailable,
    free_ports,
    server_version,
    wait_until_ready,
    without_password,
)


class TestLook:
    """What is seen of a server before anybody logs in."""

    @pytest.fixture
    def answer(self) -> Iterator[Callable[[bytes], str]]:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve(content: bytes) -> None:
                wire, _ = server.accept()
                with wire:
                    wire.recv(8)
                    wire.sendall(content)

            threads = []

            def start(content: bytes) -> str:
                threads.append(threading.Thread(target=serve, args=(content,)))
                threads[-1].start()
                return f"amqp://127.0.0.1:{server.getsockname()[1]}/"

            yield start
            for thread in threads:
                thread.join()

    def test_reads_the_version(self, answer: Callable[[bytes], str]) -> None:
        body = b"\x00\x0a\x00\x0a\x00\x09....\x07versionS\x00\x00\x00\x054.3.6\x08platformS"
        frame = b"\x01\x00\x00" + len(body).to_bytes(4, "big") + body + b"\xce"
        assert server_version(answer(frame)) == "4.3.6"

    def test_a_server_that_does_not_tell(self, answer: Callable[[bytes], str]) -> None:
        assert server_version(answer(b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x0a\xce")) is None

    @pytest.mark.parametrize("content", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\0\1\0\0"])
    def test_another_protocol(self, answer: Callable[[bytes], str], content: bytes) -> None:
        with pytest.raises(ConnectionError):
            server_version(answer(content))

    def test_the_wait_ends_when_the_server_is_gone(self) -> None:
        (port,) = free_ports(1)
        with pytest.raises(ProviderUnavailable, match="it fell over"):
            wait_until_ready(f"amqp://127.0.0.1:{port}/", lambda: True, lambda: "it fell over")

    def test_the_wait_has_an_end(self) -> None:
        (port,) = free_ports(1)
        with pytest.raises(ProviderUnavailable, match=r"not ready after 0 s: .*refused"):
            wait_until_ready(f"amqp://127.0.0.1:{port}/", lambda: True, lambda: None, timeout=0.2)


def test_passwords_are_not_shown() -> None:
    assert without_password("amqp://me:p%40ss@host:5672/x") == "amqp://me:***@host:5672/x"
    assert without_password("amqp://host/") == "amqp://host/"


def test_free_ports_are_different_and_out_of_the_kernels_own_range() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(port < 32768 for port in ports)
