"""Ordered work: the partitions of a queue, and which of them a message goes to.

``Queue("orders", partitions=8)`` is eight queues, ``orders.0`` to ``orders.7``. The publisher
chooses one by a key of the message, so that all messages of a key are in one queue, in order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from rmqwork.errors import ConfigurationError

MAX_PARTITIONS: Final = 256
"""Partitions of a queue at most; each is a process on the broker's nodes."""
_HASHED: Final = 8


def partition_queue(queue: str, number: int) -> str:
    """The name of one partition, from 0."""
    return f"{queue}.{number}"


def partition_queues(queue: str, count: int) -> tuple[str, ...]:
    """The names of all partitions of a queue, in order."""
    return tuple(partition_queue(queue, number) for number in range(count))


def partition_of(key: str | int, count: int) -> int:
    """The partition of a key: the same in every process, version and language.

    The first 8 bytes of SHA-256 of the key's UTF-8 text, as an unsigned big-endian number, modulo
    the number of partitions. An integer counts as its decimal text: 7 and ``"7"`` are one key.

    Args:
        key: a text or an integer.
        count: of partitions.
    """
    digest = sha256(str(key).encode()).digest()
    return int.from_bytes(digest[:_HASHED], "big") % count


def check_partitions(queue: str, partitions: object, forbidden: Mapping[str, object]) -> None:
    """Refuse a number of partitions that cannot be, and what does not go with partitions.

    Args:
        queue: its name.
        partitions: as given to the `Queue`.
        forbidden: what it has that cannot be kept in order, with the reason; None: it has not.

    Raises:
        ConfigurationError: see above.
    """
    if isinstance(partitions, bool) or not isinstance(partitions, int):
        raise ConfigurationError(f"queue {queue!r}: partitions is a number, not {partitions!r}")
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise ConfigurationError(f"queue {queue!r}: partitions must be 1 to {MAX_PARTITIONS}")
    for name, reason in forbidden.items():
        if reason:
            raise ConfigurationError(
                f"queue {queue!r}: partitions and {name} do not go together: {reason}; leave one "
                "of them out"
            )


def check_key(partition_key: object, where: str) -> None:
    """Refuse what names no field.

    Raises:
        ConfigurationError: neither None nor a text such as ``customer_id`` or ``customer.id``.
    """
    if partition_key is None:
        return
    named = isinstance(partition_key, str) and all(
        part.isidentifier() for part in partition_key.split(".")
    )
    if not named:
        raise ConfigurationError(
            f"{where}: partition_key is the name of a field of the message ('customer_id', or "
            f"'customer.id' for one inside), not {partition_key!r}"
        )


def check_field(partition_key: str | None, fields: Collection[str], where: str) -> None:
    """Refuse the name of a field that is not there.

    Raises:
        ConfigurationError: see above.
    """
    if partition_key is None or partition_key.partition(".")[0] in fields:
        return
    raise ConfigurationError(
        f"{where}: there is no field {partition_key.partition('.')[0]!r} for "
        f"partition_key={partition_key!r}; there are {', '.join(sorted(fields)) or 'none'}"
    )


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How a queue chooses among its partitions.

    Args:
        queue: its name.
        count: of partitions.
        key: the field for messages whose task names none.
    """

    queue: str
    count: int
    key: str | None = None

    def key_field(self, task: str, key: str | None) -> str:
        """The field of a message that chooses.

        Args:
            task: its name.
            key: the field that it names.

        Raises:
            ConfigurationError: nobody names a field.
        """
        path = key or self.key
        if path is None:
            raise ConfigurationError(self.without_key(task))
        return path

    def choose(self, key: str) -> str:
        """The name of the partition for a key."""
        return partition_queue(self.queue, partition_of(key, self.count))

    def without_key(self, task: str) -> str:
        """What is wrong with a task that names no field."""
        return (
            f"task {task!r} goes to queue {self.queue!r}, which has {self.count} partitions, and "
            "has no partition key; write partition_key='…' at its message class or its @app.task, "
            "or at the Queue"
        )

    def problem(self, task: str, key: str | None, fields: Collection[str]) -> str | None:
        """What is wrong with a task that goes to this queue, if something is.

        Args:
            task: its name.
            key: the field that it names.
            fields: those that its messages have.
        """
        path = key or self.key
        if path is None:
            return self.without_key(task)
        first = path.partition(".")[0]
        if first in fields:
            return None
        return (
            f"task {task!r}: its messages have no field {first!r} for partition_key={path!r} of "
            f"queue {self.queue!r}; they have {', '.join(sorted(fields)) or 'none'}"
        )
