"""What exchanges and queues may be called, and how large their limits may be."""

from __future__ import annotations

import math
from typing import Final

from rmqwork.errors import ConfigurationError

_NAME_BYTES: Final = 255


def check_name(kind: str, name: object, room: int = 0) -> None:
    """Refuse a name that no exchange or queue can have, or that leaves no ``room`` (bytes).

    Raises:
        ConfigurationError: see above.
    """
    if not name:
        raise ConfigurationError(f"{'an' if kind == 'exchange' else 'a'} {kind} needs a name")
    if not isinstance(name, str):
        raise ConfigurationError(f"the name of {kind} {name!r} is not a text")
    if not name.isprintable():
        raise ConfigurationError(f"{kind} {name!r}: its name has characters that no one can see")
    if kind == "queue" and "," in name:
        raise ConfigurationError(
            f"queue {name!r}: a name has no comma, which separates names on the command line"
        )
    if len(name.encode()) > _NAME_BYTES - room:
        raise ConfigurationError(
            f"the name of {kind} {name[:40]!r}… is longer than {_NAME_BYTES - room} bytes"
        )
    if name.startswith("amq."):
        raise ConfigurationError(f"{kind} {name!r}: the prefix 'amq.' is the broker's own")


def check_above_0(queue: str, name: str, value: object) -> None:
    """Refuse a limit of a queue that is no number above 0; None is none.

    Raises:
        ConfigurationError: see above.
    """
    if value is None:
        return
    kinds: tuple[type, ...] = (int, float) if name == "message_ttl" else (int,)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ConfigurationError(f"queue {queue!r}: {name} is a number, not {value!r}")
    if not 0 < value < math.inf:  # type: ignore[operator]
        raise ConfigurationError(f"queue {queue!r}: {name} must be above 0")
