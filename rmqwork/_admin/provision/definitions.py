"""RabbitMQ's definitions JSON, for ``rabbitmqctl import_definitions`` and the management page.

Source: RabbitMQ guide "Definition Export and Import".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rmqwork._topology.topology import Bind, Declaration, DeclareExchange, DeclareQueue


def definitions(declarations: Sequence[Declaration], vhost: str) -> dict[str, Any]:
    """The topology as definitions that a broker can import; users and rights are not in it.

    Args:
        declarations: of an app.
        vhost: the virtual host that they are for; it must exist.
    """
    queues, exchanges, bindings = [], [], []
    for declaration in declarations:
        arguments = dict(declaration.arguments)
        match declaration:
            case DeclareQueue(name):
                queues.append(_durable(name, vhost, arguments))
            case DeclareExchange(name, kind):
                exchange = _durable(name, vhost, arguments)
                exchanges.append({**exchange, "type": kind, "internal": False})
            case Bind(source, destination, routing_key, _, to_exchange):
                bindings.append(
                    {
                        "source": source,
                        "vhost": vhost,
                        "destination": destination,
                        "destination_type": "exchange" if to_exchange else "queue",
                        "routing_key": routing_key,
                        "arguments": arguments,
                    }
                )
    return {"queues": queues, "exchanges": exchanges, "bindings": bindings}


def _durable(name: str, vhost: str, arguments: dict[str, object]) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": vhost,
        "durable": True,
        "auto_delete": False,
        "arguments": arguments,
    }
