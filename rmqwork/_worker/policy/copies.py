"""The delivery's own message on its way to another queue: tried again, or a dead letter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from time import time
from typing import Final

from rmqwork._messages import headers as names
from rmqwork._topology.delays import DUE_HEADER
from rmqwork._topology.topology import RETURN_EXCHANGE, dead_letter_queue, suspects_queue
from rmqwork._transport.properties import sendable
from rmqwork._worker.model.held import HeldDelivery
from rmqwork.types import Evidence, Publication, Reason

_MESSAGE_BYTES: Final = 4 << 10
_TRACEBACK_BYTES: Final = 24 << 10
_FOREIGN_BYTES: Final = 64 << 10
_ESSENTIAL: Final = (
    names.ERROR_REASON,
    names.ERROR_TYPE,
    names.ERROR_AT,
    names.ATTEMPT,
    names.EXCHANGE,
    names.ROUTING_KEY,
    names.QUEUE,
    names.HOST,
    names.VERSION,
    names.EXPIRES_AT,
    names.UNKNOWN_SINCE,
    names.REPLAY,
    names.EACH,
    names.WORKFLOW,
)
"""What a message cannot do without, the most important ones first."""
_ESSENTIAL_BYTES: Final = 2 << 10
_SLIM_MESSAGE_BYTES: Final = 500


def again(
    held: HeldDelivery, delay: float, changed: dict[str, object], back_to: str | None = None
) -> Publication:
    """The same message once more, after a delay in seconds; ``back_to`` None = for its queue."""
    headers = {**_origin(held), **_travelling(held)[0], **changed}
    due = time() + delay if delay > 0 else None
    return _copy(held, RETURN_EXCHANGE, back_to or held.queue, headers, due)


def move_to_suspects(held: HeldDelivery) -> Publication:
    """The same message for the queue of those that run isolated."""
    headers = {**_origin(held), **_travelling(held)[0]}
    return _copy(held, "", suspects_queue(held.queue), headers, None)


def dead_letter(held: HeldDelivery, reason: Reason, evidence: Evidence, host: str) -> Publication:
    """The message for its dead-letter queue, body untouched, with the evidence in its headers."""
    travelling, left = _travelling(held)
    if left:
        text = f"{evidence.message}\n(left out, as they cannot be sent again: headers {left})"
        evidence = replace(evidence, message=text)
    headers = {
        **_origin(held),
        **travelling,
        names.ATTEMPT: held.attempt,
        names.HOST: host,
        names.ERROR_REASON: reason.value,
        names.ERROR_TYPE: cut(evidence.type, 200),
        names.ERROR_MESSAGE: cut(evidence.message, _MESSAGE_BYTES),
        names.ERROR_AT: datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    if evidence.traceback:
        headers[names.ERROR_TRACEBACK] = cut_front(evidence.traceback, _TRACEBACK_BYTES)
    headers.update(evidence.facts)
    return _copy(held, "", dead_letter_queue(held.queue), headers, None)


def slim(publication: Publication) -> Publication:
    """The same with fewer headers, for when it cannot be sent; done again, with those that fit any
    frame."""
    headers = publication.headers
    essential = {name: headers[name] for name in _ESSENTIAL if name in headers}
    again = len(essential) + (names.ERROR_MESSAGE in headers) == len(headers)
    kept, _ = sendable(essential, _ESSENTIAL_BYTES if again else _FOREIGN_BYTES)
    text = str(headers.get(names.ERROR_MESSAGE, ""))
    if text:
        kept[names.ERROR_MESSAGE] = cut(text, _SLIM_MESSAGE_BYTES)
    return replace(publication, headers=kept)


def continues(held: HeldDelivery, publication: Publication) -> bool:
    """Whether a publication is a copy that cannot be told from the delivery, when it comes again:
    of the same id and attempt, and not a dead letter."""
    return (
        is_copy(held, publication)
        and publication.routing_key != dead_letter_queue(held.queue)
        and publication.headers.get(names.ATTEMPT, 1) == held.attempt
    )


def is_copy(held: HeldDelivery, publication: Publication) -> bool:
    """Whether a publication is the delivery's own message on its way to another queue of its."""
    return (
        publication.message_id == held.task_id
        and publication.type == held.delivery.type
        and publication.exchange in ("", RETURN_EXCHANGE)
        and publication.routing_key.startswith(held.queue)
    )


def cut(text: str, size: int) -> str:
    """A text of at most ``size`` bytes in UTF-8; what is cut off at its end is said."""
    data = text.encode("utf-8", "replace")
    if len(data) <= size:
        return data.decode()
    return data[: size - 4].decode("utf-8", "ignore") + " …"


def cut_front(text: str, size: int) -> str:
    """Likewise, with the end kept: the last frames of a traceback tell most."""
    data = text.encode("utf-8", "replace")
    if len(data) <= size:
        return data.decode()
    return "… " + data[-(size - 4) :].decode("utf-8", "ignore")


def _origin(held: HeldDelivery) -> dict[str, object]:
    """Where the message was first published; what earlier attempts noted goes over it."""
    delivery = held.delivery
    return {
        # a delayed first publish comes from a delay queue, and names the exchange that it was for
        names.EXCHANGE: delivery.headers.get(DUE_HEADER, delivery.exchange),
        names.ROUTING_KEY: delivery.routing_key,
        names.QUEUE: held.home,
    }


def _travelling(held: HeldDelivery) -> tuple[dict[str, object], str]:
    """The headers that go along where a message is published again, ours first, and in words
    those that cannot."""
    headers = names.may_travel(held.delivery.headers)
    if not headers:
        return headers, ""
    ours = sorted(headers, key=lambda name: not name.startswith("rmqwork-"))
    kept, left = sendable({name: headers[name] for name in ours}, _FOREIGN_BYTES)
    return kept, ", ".join(left[:20]) + (f" and {len(left) - 20} more" if len(left) > 20 else "")


def _copy(
    held: HeldDelivery,
    exchange: str,
    routing_key: str,
    headers: dict[str, object],
    due: float | None,
) -> Publication:
    return Publication.copy_of(
        held.delivery, exchange, routing_key, message_id=held.task_id, headers=headers, due=due
    )
