"""Which sockets of an import executors must not share."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rmqwork._executor.fork_sockets import (
    VARIABLE,
    ConnectedSocket,
    connected_since,
    open_sockets,
    refusal,
    warning,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/fd")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def server(stack: ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_server(("127.0.0.1", 0)))


def test_a_stream_to_somebody_else_is_found_and_named(server, stack):
    before = open_sockets()
    mine = stack.enter_context(socket.create_connection(server.getsockname()))

    host, port = server.getsockname()
    assert connected_since(before) == [ConnectedSocket(mine.fileno(), f"{host}:{port}", True)]


def test_it_is_found_where_sockets_have_a_default_timeout_and_is_not_changed(server, stack):
    before = open_sockets()
    mine = stack.enter_context(socket.create_connection(server.getsockname()))
    assert os.get_blocking(mine.fileno())
    socket.setdefaulttimeout(5)
    try:
        assert len(connected_since(before)) == 1
        assert socket.getdefaulttimeout() == 5
    finally:
        socket.setdefaulttimeout(None)
    assert os.get_blocking(mine.fileno())


def test_a_database_on_a_unix_socket_is_found(stack, tmp_path):
    place = str(tmp_path / ".s.PGSQL.5432")
    server = stack.enter_context(socket.socket(socket.AF_UNIX))
    server.bind(place)
    server.listen()
    before = open_sockets()
    mine = stack.enter_context(socket.socket(socket.AF_UNIX))
    mine.connect(place)

    assert connected_since(before) == [ConnectedSocket(mine.fileno(), place, True)]


def test_datagrams_are_no_streams(stack, tmp_path):
    place = str(tmp_path / "log")
    for family, address in ((socket.AF_UNIX, place), (socket.AF_INET, ("127.0.0.1", 0))):
        server = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        server.bind(address)
        before = open_sockets()
        mine = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        mine.connect(server.getsockname())

        [found] = connected_since(before)
        assert not found.stream


def test_pairs_event_loops_listeners_and_what_was_there_before_are_innocent(server, stack):
    stack.enter_context(socket.create_connection(server.getsockname()))
    before = open_sockets()
    for one in (*socket.socketpair(), socket.create_server(("127.0.0.1", 0)), socket.socket()):
        stack.enter_context(one)
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    own = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    stack.enter_context(socket.create_connection(own.getsockname()))
    stack.enter_context(own.accept()[0])

    assert connected_since(before) == []


def test_one_whose_peer_has_left_and_one_that_is_garbage_are_innocent(server, stack):
    before = open_sockets()
    ended = stack.enter_context(socket.create_connection(server.getsockname()))
    server.accept()[0].close()
    ended.recv(1)
    circle: list[object] = [socket.create_connection(server.getsockname())]
    circle.append(circle)
    del circle

    with pytest.warns(ResourceWarning):
        assert connected_since(before) == []


def test_a_descriptor_that_was_reused_is_new(server, stack):
    old = socket.create_connection(server.getsockname())
    before, number = open_sockets(), old.fileno()
    old.close()
    mine = stack.enter_context(socket.create_connection(server.getsockname()))
    assert mine.fileno() == number

    assert [one.fd for one in connected_since(before)] == [number]


def test_what_is_said(monkeypatch):
    stream = ConnectedSocket(5, "10.0.0.7:5432", True)
    datagrams = ConnectedSocket(6, "127.0.0.1:8125", False)

    text = refusal("shop:app", [datagrams, stream])
    assert text is not None
    for word in ("shop:app", "10.0.0.7:5432", "lifespan", "--no-preload", f"{VARIABLE}=allow"):
        assert word in text
    assert "8125" not in text
    assert refusal("shop:app", [datagrams]) is None
    assert "8125" in str(warning([datagrams]))
    assert warning([]) is None
    monkeypatch.setenv(VARIABLE, "allow")
    assert refusal("shop:app", [stream]) is None
    assert Path("/proc/self/fd").exists()
