"""Names of hosts are looked up, whatever the state of the interpreter."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from rmqwork._transport.amqp.dns import lookup

EXITING = """
import asyncio, atexit, socket
from rmqwork._transport.amqp.dns import lookup

def late():
    found = asyncio.run(lookup(({host!r}, 5672, 0, socket.SOCK_STREAM, 0)))
    print(found[0][4][1])

atexit.register(late)
"""


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_it_works_while_the_interpreter_ends(host: str):
    """Given that no thread can be started any more, then a program can still connect."""
    ended = subprocess.run(
        [sys.executable, "-c", EXITING.format(host=host)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.stdout, ended.stderr) == ("5672\n", "")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, threading.Thread]]:
    """What the system was asked for, and by which thread."""
    questions: list[tuple[str, threading.Thread]] = []
    ask: Callable[..., Any] = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any) -> Any:
        questions.append((host, threading.current_thread()))
        return ask(host, *rest)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return questions


def test_a_name_does_not_hold_up_the_loop(asked: list[tuple[str, threading.Thread]]):
    found = asyncio.run(lookup(("localhost", 5672, 0, socket.SOCK_STREAM, 0)))

    assert found
    assert asked[-1][0] == "localhost"
    assert asked[-1][1] is not threading.current_thread()


def test_a_number_needs_no_thread(asked: list[tuple[str, threading.Thread]]):
    found = asyncio.run(lookup(("127.0.0.1", 5672, 0, socket.SOCK_STREAM, 0)))

    assert found[0][4] == ("127.0.0.1", 5672)
    assert [thread for _, thread in asked] == [threading.current_thread()]


def test_a_name_that_nobody_knows():
    with pytest.raises(OSError, match=r"."):
        asyncio.run(lookup(("no-such-host.invalid", 5672, 0, socket.SOCK_STREAM, 0)))
