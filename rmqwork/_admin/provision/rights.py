"""The least rights that a worker, a publisher and an operator need, as RabbitMQ's patterns.

Source: RabbitMQ guide "Access Control"; ``amq.default`` is the name of the default exchange there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rmqwork._admin.provision.migration import waiting_room
from rmqwork._control.wire import CALLS, STANDING
from rmqwork._topology.delays import PREFIX as DELAYS
from rmqwork._topology.join_queues import PREFIX as JOINS
from rmqwork._topology.topology import (
    RETURN_EXCHANGE,
    UNROUTABLE,
    Bind,
    Declaration,
    DeclareExchange,
    due_exchange,
)

if TYPE_CHECKING:
    from rmqwork._tasks.app import App

Role = Literal["worker", "publisher", "operator"]
_OURS: Final = "rmqwork."
_DEFAULT: Final = "amq.default"


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user may do in a virtual host: patterns that whole names must match.

    Args:
        configure: make and delete.
        write: publish to an exchange, bind a queue.
        read: consume from a queue, bind from an exchange.
    """

    configure: str
    write: str
    read: str

    def as_values(self) -> dict[str, str]:
        """As the management API takes them."""
        return {"configure": self.configure, "write": self.write, "read": self.read}


def rights_of(app: App, declarations: Iterable[Declaration]) -> dict[Role, Rights]:
    """The rights of each kind of user of an app, with ``RMQWORK_DECLARE=false``.

    Args:
        app: the app.
        declarations: all of it; see `rmqwork._admin.provision.looking.whole_plan`.
    """
    named = [one.name for one in app.topology() if isinstance(one, DeclareExchange)]
    twins = {due_exchange(name) for name in named}
    ways = [_name(name) for name in named if name not in {*twins, UNROUTABLE, RETURN_EXCHANGE}]
    ways.append(_under(f"{DELAYS}."))
    replies = _under(f"rmqwork.replies.{app.name[:150]}.")
    queues = [_name(name) for queue in app.queues.values() for name in queue.consumed()]
    joins = _under(JOINS)
    streams = [_name(STANDING), _name(CALLS)]
    back = [_name(_DEFAULT), _name(RETURN_EXCHANGE)]
    made = [one.name for one in declarations if not isinstance(one, Bind)]
    made += [waiting_room(queue) for queue in app.queues]
    objects = [_name(name) for name in made if not name.startswith(_OURS)] + [_under(_OURS)]
    everything = _any([*objects, _name(_DEFAULT)])
    return {
        "worker": Rights(
            _any([replies]), _any([*ways, *back]), _any([*queues, *streams, joins, replies])
        ),
        "publisher": Rights(_any([replies]), _any(ways), _any([replies])),
        "operator": Rights(_any(objects), everything, everything),
    }


def _name(name: str) -> str:
    return re.escape(name)


def _under(prefix: str) -> str:
    return re.escape(prefix) + ".*"


def _any(patterns: Iterable[str]) -> str:
    return f"^({'|'.join(dict.fromkeys(patterns))})$"
