"""pika's connection as it is changed here."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import warnings

import pytest

from rmqwork._transport.amqp.connector import AmqpConnector


async def test_one_that_is_given_up_while_it_opens_ends_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """pika asserts that it knows why a connection ends, and the loop prints its traceback."""
    connected = asyncio.Event()
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with caplog.at_level(logging.ERROR, "asyncio"):
            opening = asyncio.ensure_future(
                AmqpConnector([f"amqp://guest:guest@127.0.0.1:{port}/"]).open("test")
            )
            await connected.wait()
            await asyncio.sleep(0.1)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            await asyncio.wait_for(gone.wait(), 5)
            await asyncio.sleep(0.05)

    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("turns", [*range(12), 100])
def test_one_that_is_given_up_at_any_moment_leaves_no_socket(turns: int, host: str) -> None:
    """pika forgets a socket if it is told to abort while the name is being resolved."""

    async def give_up(port: int) -> None:
        connector = AmqpConnector([f"amqp://guest:guest@{host}:{port}/"])
        opening = asyncio.ensure_future(connector.open("test"))
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", ResourceWarning)
        with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
            for _ in range(5):
                asyncio.run(give_up(server.getsockname()[1]))
        gc.collect()

    assert [str(one.message) for one in noted if "unclosed" in str(one.message)] == []
