"""What this user may do, tried without doing it.

RabbitMQ checks a right before it looks at the rest of a request. So each request here has a fault
that it finds later: a consumer with a priority that is no number, a message whose time to live is
none, an exchange that exists with another type. 403 means that the right is missing. Measured on
RabbitMQ 4.3.6 and 3.10.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import pika

from rmqwork._transport.amqp.pika_internals import Channel, Connection
from rmqwork._transport.amqp.rpc import Rpc
from rmqwork._transport.port import ChannelClosed

_ACCESS_REFUSED: Final = 403
_NO_NUMBER: Final = "rmqwork-probe"


async def may_read(connection: Connection, queues: Iterable[str]) -> dict[str, bool]:
    """Whether this user may consume from each queue; those that are not there are left out."""
    return await _each(connection, queues, _consume)


async def may_write(connection: Connection, exchanges: Iterable[str]) -> dict[str, bool]:
    """Whether this user may publish to each exchange; the empty name is the default one."""
    return await _each(connection, exchanges, _publish)


async def may_configure(connection: Connection, exchanges: Iterable[str]) -> dict[str, bool]:
    """Whether this user may declare each of these exchanges, which must exist."""
    return await _each(connection, exchanges, _declare)


async def _each(
    connection: Connection, names: Iterable[str], fault: Callable[[Channel, str], None]
) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for name in names:
        rpc = await Rpc.open(connection, lambda _: None)
        try:
            fault(rpc.channel, name)
            await rpc.call(rpc.channel.basic_qos, prefetch_count=1)
            found[name] = True
        except ChannelClosed as closed:
            if not connection.is_open:
                raise
            if closed.code != 404:
                found[name] = closed.code != _ACCESS_REFUSED
        await rpc.close()
    return found


def _consume(channel: Channel, queue: str) -> None:
    channel.basic_consume(queue, _nothing, arguments={"x-priority": _NO_NUMBER})


def _publish(channel: Channel, exchange: str) -> None:
    properties = pika.BasicProperties(expiration=_NO_NUMBER)
    channel.basic_publish(exchange, _NO_NUMBER, b"", properties, mandatory=True)


def _declare(channel: Channel, exchange: str) -> None:
    other = "fanout" if exchange.endswith(".return") else "direct"
    channel.exchange_declare(exchange, other, durable=False)


def _nothing(*_args: Any) -> None:
    """Never called: the consumer is refused."""
