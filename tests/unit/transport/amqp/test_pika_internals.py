"""pika's connection as it is changed here, and the private names that this takes."""

from __future__ import annotations

import ast
import asyncio
import gc
import logging
import socket
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pika
import pytest
from pika.adapters.asyncio_connection import AsyncioConnection, _AsyncioIOServicesAdapter
from pika.adapters.utils.connection_workflow import AMQPConnectionWorkflow
from pika.adapters.utils.io_services_utils import _AsyncPlaintextTransport
from pika.channel import Channel, ContentFrameAssembler
from pika.heartbeat import HeartbeatChecker

import rmqwork
from rmqwork._transport.amqp import pika_internals
from rmqwork._transport.amqp.connector import AmqpConnector
from rmqwork._transport.amqp.pika_internals import PRIVATE_NAMES

INTERNALS = Path(pika_internals.__file__)


async def objects(peer: socket.socket) -> Mapping[type, object]:
    """One object of each class whose private names are used, as pika itself makes it."""
    connection = AsyncioConnection(pika.ConnectionParameters(), internal_connection_workflow=False)
    timers = SimpleNamespace(
        _adapter_call_later=lambda delay, call: object(), bytes_received=0, bytes_sent=0
    )
    no_loop = SimpleNamespace(set_reader=lambda descriptor, call: None)
    return {
        AsyncioConnection: connection,
        Channel: Channel(connection, 1, lambda _: None),
        ContentFrameAssembler: ContentFrameAssembler(),
        AMQPConnectionWorkflow: AMQPConnectionWorkflow(),
        HeartbeatChecker: HeartbeatChecker(timers, 10),
        _AsyncPlaintextTransport: _AsyncPlaintextTransport(peer, SimpleNamespace(), no_loop),
        _AsyncioIOServicesAdapter: _AsyncioIOServicesAdapter(asyncio.get_running_loop()),
    }


async def test_the_installed_pika_has_each_private_name() -> None:
    with socket.socket() as peer:
        made = await objects(peer)
        lacking = [
            f"{kind.__module__}.{kind.__qualname__}.{name}"
            for kind, names in PRIVATE_NAMES.items()
            for name in names
            if not hasattr(made[kind], name)
        ]

    assert lacking == [], f"pika {pika.__version__} lacks what pika_internals.py uses: {lacking}"


def private(tree: ast.AST) -> Iterator[str]:
    """The private attributes that are used, and the methods of this kind that are defined."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = node.attr
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = node.name
        else:
            continue
        if name.startswith("_") and not name.startswith("__"):
            yield name


def test_each_private_name_in_the_module_is_in_its_table() -> None:
    own = {"_out", "_deliver", "_confirm"}
    listed = {name for names in PRIVATE_NAMES.values() for name in names}

    assert set(private(ast.parse(INTERNALS.read_text()))) - own == listed


def test_no_other_module_uses_a_private_name_of_pika() -> None:
    listed = {name for names in PRIVATE_NAMES.values() for name in names}
    found = []
    for module in sorted(INTERNALS.parent.glob("*.py")):
        if module == INTERNALS:
            continue
        tree = ast.parse(module.read_text())
        imported = [
            one.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("pika")
            for one in node.names
            if one.name.startswith("_")
        ]
        elsewhere = [
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
            and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
        ]
        found += [(module.name, name) for name in (*imported, *elsewhere)]
        found += [(module.name, name) for name in set(private(tree)) & listed]

    assert found == []


def test_pika_is_known_to_the_amqp_adapter_alone() -> None:
    package = Path(rmqwork.__file__).parent
    found = []
    for module in package.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == "pika" for name in names):
                found.append(module)

    assert {module.parent for module in found} == {INTERNALS.parent}


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
