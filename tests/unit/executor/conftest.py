"""What the tests of runs share."""

from __future__ import annotations

import socket

import pytest

from rmqwork._worker.ipc.wire import pack


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    ours.sendall(pack([("d", 1), ("d", 2)]))
    ours.shutdown(socket.SHUT_WR)
    yield theirs
    ours.close()
    theirs.close()
