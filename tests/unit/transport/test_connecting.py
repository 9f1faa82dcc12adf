"""Addresses of brokers: what is wrong with one is said, and no password with it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from rmqwork._transport import connecting
from rmqwork._transport.connecting import connect, connect_later
from rmqwork.errors import BrokerUnavailable, ConfigurationError


@pytest.mark.parametrize(
    "url",
    [
        "amqp://guest:se/cret@localhost/",
        "amqp://guest:se@cret:x@localhost:port/",
        "amqp://guest:secret@localhost:99999/",
    ],
)
def test_an_address_that_cannot_be_read_keeps_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect([url])

    said = str(caught.value)
    assert "se" not in said.replace("used", "").replace("user", "")
    assert "%2F" in said


@pytest.mark.parametrize("url", ["foo", "http://localhost/", "amqp:///vhost", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="broker address"):
        connect([url])


def test_a_label_has_no_password() -> None:
    assert connect(["amqp://me:hidden@localhost/shop"]).label == "amqp://me@localhost:5672/shop"


LATE = """
import sys
from rmqwork._transport.connecting import connect_later
connector = connect_later(["amqp://127.0.0.1:1/"])
print("pika" in sys.modules)
connector.label
print("pika" in sys.modules)
"""


def test_the_library_is_imported_by_the_first_connection() -> None:
    command = [sys.executable, "-c", LATE]
    assert subprocess.check_output(command, text=True, timeout=60).split() == ["False", "True"]


async def test_a_wrong_address_is_refused_by_the_first_connection() -> None:
    with pytest.raises(ConfigurationError, match="broker address"):
        await connect_later(["http://localhost/"]).open("test")


def test_what_interrupts_the_import_is_refused_and_the_import_goes_on() -> None:
    late = connect_later(["amqp://localhost/"])
    refused = pytest.raises(BrokerUnavailable, match="interrupted the import of pika")
    with connecting._import, refused:
        _ = late.label
    assert connect_later(["amqp://localhost/"]).label


def test_a_fork_waits_for_the_end_of_an_import() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def long_import() -> None:
        with connecting._import:
            begun.set()
            go_on.wait(10)

    thread = threading.Thread(target=long_import)
    thread.start()
    begun.wait(10)
    threading.Timer(0.1, go_on.set).start()

    child = os.fork()
    if child == 0:
        os._exit(0 if go_on.is_set() and connect_later(["amqp://localhost/"]).label else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join(10)
