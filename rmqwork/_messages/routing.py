"""Which exchange and routing key a message takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from rmqwork._messages.options import CallOptions
from rmqwork._messages.partition_keys import key_of
from rmqwork._topology.partitions import Partitioning
from rmqwork._topology.topology import TASKS_EXCHANGE, Exchange, Queue
from rmqwork.errors import ConfigurationError, InvalidMessage

_KEY_BYTES = 255


@dataclass(frozen=True, slots=True)
class Route:
    """An exchange and a routing key.

    Args:
        exchange: the name of one of the app's exchanges.
        routing_key: at most 255 bytes.
    """

    exchange: str
    routing_key: str = ""

    def __post_init__(self) -> None:
        try:
            size = len(self.routing_key.encode())
        except (AttributeError, UnicodeEncodeError):
            raise InvalidMessage(
                f"routing key {self.routing_key!r} is not a text that can be encoded"
            ) from None
        if size > _KEY_BYTES:
            raise InvalidMessage(
                f"routing key {self.routing_key[:40]!r}… takes {size} bytes; AMQP allows 255"
            )


Target = str | Route
"""A queue's name, or a route."""
RouteFunction = Callable[[str, Any, Mapping[str, Any]], Target | None]
"""Called with the task's name, its message (or its arguments by name) and the call's options;
returns a queue's name, a `Route`, or None (not my business)."""
Routes = Mapping[str, Target] | RouteFunction


class Router:
    """The routes of an app: call options, then ``routes``, then the task's own queue, then the
    default queue.

    Args:
        queues: all queues of the app.
        exchanges: all exchanges of the app, besides ``rmqwork.tasks`` and those of bindings.
        default_queue: where the rest goes.
        routes: patterns of task names (as in `fnmatch`, the first that fits counts) with their
            targets; or a function.
    """

    def __init__(
        self,
        queues: Iterable[Queue],
        exchanges: Iterable[Exchange],
        default_queue: str,
        routes: Routes | None,
    ) -> None:
        if not (routes is None or callable(routes) or isinstance(routes, Mapping)):
            raise ConfigurationError(
                "routes are patterns of task names with a queue each, {'images.*': 'low'}, or a "
                f"function (name, message, options), not {routes!r}"
            )
        queues = list(queues)
        self._queues = {queue.name: Route(TASKS_EXCHANGE, queue.name) for queue in queues}
        self._partitioned = {q.name: p for q in queues if (p := q.partitioning) is not None}
        bound = (binding.exchange_name for queue in queues for binding in queue.bindings)
        self._exchanges = {TASKS_EXCHANGE, *bound, *(exchange.name for exchange in exchanges)}
        self._default = default_queue
        self._patterns = dict(routes) if isinstance(routes, Mapping) else {}
        self._function = routes if callable(routes) else None
        self._fixed: dict[tuple[str, str | None], Route] = {}

    def resolve(
        self,
        name: str,
        queue: str | None,
        message: object,
        options: CallOptions,
        partition_key: str | None = None,
    ) -> Route:
        """The route of one message.

        Args:
            name: the task's name.
            queue: what its message class or its ``@app.task`` says.
            message: for a callable route, and with the key that chooses a partition.
            options: of the call.
            partition_key: what its message class or its ``@app.task`` says.

        Raises:
            ConfigurationError: a queue or an exchange that the app does not have; or a queue with
                partitions, and no key for them, or a priority.
            InvalidMessage: a routing key above 255 bytes, or a message without its partition key.
        """
        route = self._queue_or_exchange(name, queue, message, options)
        found = self._partitioned.get(route.routing_key) if self._partitioned else None
        if found is None or route.exchange != TASKS_EXCHANGE:
            return route
        if options.priority is not None:
            raise ConfigurationError(
                f"task {name!r} goes to queue {found.queue!r}, whose partitions keep order: a "
                "priority would break it; leave priority= out"
            )
        key = key_of(message, found.key_field(name, partition_key), name)
        return Route(TASKS_EXCHANGE, found.choose(key))

    def partitioning(self, queue: str | None) -> Partitioning | None:
        """How a queue chooses among its partitions; None: it has none."""
        return None if queue is None else self._partitioned.get(queue)

    def _queue_or_exchange(
        self, name: str, queue: str | None, message: object, options: CallOptions
    ) -> Route:
        if options.queue is not None:
            return self._to(options.queue, f"the call's queue= of task {name!r}")
        if options.exchange is not None:
            route = Route(options.exchange, options.routing_key or "")
            return self._to(route, f"the call's exchange= of task {name!r}")
        if self._function is not None:
            target = self._function(name, message, options.given)
            if target is not None:
                return self._to(target, f"the app's routes function, for task {name!r},")
        route_of_name = self._fixed.get((name, queue))
        if route_of_name is None:
            route_of_name = self._fixed[name, queue] = self._of_name(name, queue)
        return route_of_name

    def home(self, name: str, queue: str | None) -> str | None:
        """The queue that a task's messages go to unless a call says otherwise; None if only the
        message can tell, or an exchange.

        Raises:
            ConfigurationError: see `resolve`.
        """
        if self._function is not None:
            return None
        route = self._of_name(name, queue)
        known = route.exchange == TASKS_EXCHANGE and route.routing_key in self._queues
        return route.routing_key if known else None

    def problems(self, tasks: Iterable[tuple[str, str | None]]) -> list[str]:
        """What is wrong with the routes that do not depend on a message.

        Args:
            tasks: the names of the tasks with the queues that they ask for.
        """
        found: list[str] = []
        targets: list[tuple[Target, str]] = [(self._default, "default_queue")]
        targets += [(to, f"routes[{pattern!r}]") for pattern, to in self._patterns.items()]
        targets += [(queue, f"task {name!r}") for name, queue in tasks if queue is not None]
        patterns: Iterable[object] = self._patterns
        found += [
            f"routes[{pattern!r}]: a pattern of task names is a text"
            for pattern in patterns
            if not isinstance(pattern, str)
        ]
        for target, where in targets:
            try:
                self._to(target, where)
            except (ConfigurationError, InvalidMessage) as error:
                found.append(str(error))
        return found

    def _of_name(self, name: str, queue: str | None) -> Route:
        for pattern, target in self._patterns.items():
            if fnmatchcase(name, pattern):
                return self._to(target, f"routes[{pattern!r}]")
        if queue is not None:
            return self._to(queue, f"task {name!r}")
        return self._to(self._default, "default_queue")

    def _to(self, target: object, where: str) -> Route:
        if isinstance(target, Route):
            if target.exchange not in self._exchanges:
                known = ", ".join(sorted(self._exchanges))
                raise ConfigurationError(
                    f"{where} names the exchange {target.exchange!r}, which the app does not have; "
                    f"it has {known}; add it to App(exchanges=[...])"
                )
            return target
        if not isinstance(target, str):
            raise ConfigurationError(
                f"{where} gives {target!r}; a route is a queue's name or a Route"
            )
        route = self._queues.get(target)
        if route is None:
            known = ", ".join(sorted(self._queues))
            raise ConfigurationError(
                f"{where} names the queue {target!r}, which the app does not have; it has {known}; "
                "add it to App(queues=[...])"
            )
        return route
