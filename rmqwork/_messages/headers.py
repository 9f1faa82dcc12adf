"""The names of the headers that rmqwork writes, and which headers may travel on."""

from __future__ import annotations

from typing import Final

from rmqwork._topology.delays import OWN_HEADERS as _DELAY_HEADERS
from rmqwork.types import Headers

VERSION: Final = "rmqwork-version"
"""Version of the message class; absent = 1."""
ATTEMPT: Final = "rmqwork-attempt"
"""Which attempt this is, from 1; absent = 1."""
EXPIRES_AT: Final = "rmqwork-expires-at"
"""Milliseconds since the epoch after which the task must not start."""
UNKNOWN_SINCE: Final = "rmqwork-unknown-since"
"""Milliseconds since the epoch when a worker first did not know the task or its version."""
REPLAY: Final = "rmqwork-replay"
"""How often the message was replayed from a dead-letter queue."""
EXCHANGE: Final = "rmqwork-exchange"
"""Where the message was first published; written when it first leaves its queue."""
ROUTING_KEY: Final = "rmqwork-routing-key"
QUEUE: Final = "rmqwork-queue"
HOST: Final = "rmqwork-host"
WORKFLOW: Final = "rmqwork-workflow"
"""What comes after a task of a workflow (`rmqwork._workflows.document`), or its id alone."""
EACH: Final = "rmqwork-each"
"""The task runs for each of the items in the body: ``map`` or ``starmap``. Or `GATHERED`."""
GATHERED: Final = "rmqwork-gathered"
"""The value of `EACH` where no item is left to run: the body has all values of a ``map`` of which
some items had put something in their places (``ctx.replace``)."""
GATHERED_VERSION: Final = 1_000_000_000
"""The version of such a message: newer than any, so that a worker that does not know of it leaves
it to one that does."""
PLACE: Final = "rmqwork-place"
"""Of a step whose workflow was given a queue or an exchange: the option as JSON, for what
``ctx.replace`` puts in its place."""
JOIN: Final = "rmqwork-join"
"""What a message in a queue of joins says (`rmqwork._workflows.join_messages.Kind`)."""
RUN: Final = "rmqwork-run"
"""Of a message whose id its publisher chose: a UUIDv7, new with each publish, by which a late copy
is told from a new run. Absent: the id stands for one run."""
INDEX: Final = "rmqwork-index"
"""Which member of a group a part of its join is of, from 0."""
SIGNATURE: Final = "rmqwork-signature"
"""Key id and signature of a message that is signed; see `rmqwork.sealing`."""
ENCRYPTED: Final = "rmqwork-encrypted"
"""The id of the key that a body is encrypted with."""

ERROR_REASON: Final = "rmqwork-error-reason"
ERROR_TYPE: Final = "rmqwork-error-type"
ERROR_MESSAGE: Final = "rmqwork-error-message"
ERROR_TRACEBACK: Final = "rmqwork-error-traceback"
ERROR_AT: Final = "rmqwork-error-at"
"""When the error happened: ISO 8601, UTC."""
ERROR_SIGNAL: Final = "rmqwork-error-signal"
"""What killed the process of the task: ``SIGSEGV``."""
ERROR_EXIT_CODE: Final = "rmqwork-error-exit-code"
"""With which its process exited."""
ERROR_PEAK_MEMORY: Final = "rmqwork-error-peak-memory"
"""The bytes of memory that its process had at most."""
ERROR_HEADERS: Final = (
    ERROR_REASON,
    ERROR_TYPE,
    ERROR_MESSAGE,
    ERROR_TRACEBACK,
    ERROR_AT,
    ERROR_SIGNAL,
    ERROR_EXIT_CODE,
    ERROR_PEAK_MEMORY,
)

_ROUTING: Final = frozenset({"CC", "BCC"})


def may_travel(headers: Headers) -> dict[str, object]:
    """A message's headers without what would send it astray when it is published again.

    Left out: ``x-*`` (the broker's own account of deaths and counts), ``CC`` and ``BCC`` (they
    route copies), and the marks of a finished way through the delay queues.
    """
    return {
        key: value
        for key, value in headers.items()
        if not key.startswith("x-") and key not in _ROUTING and key not in _DELAY_HEADERS
    }
