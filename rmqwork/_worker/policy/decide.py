"""From an outcome to one decision, as a value; nothing is done here.

`rmqwork._worker.settle.settlement` carries decisions out, in the order that loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import time
from typing import Final

from rmqwork._messages import headers as names
from rmqwork._messages.history import HISTORY, AttemptRecord, append, summary, utc_now
from rmqwork._results import record
from rmqwork._topology.delays import DUE_HEADER
from rmqwork._topology.topology import RETURN_EXCHANGE, dead_letter_queue, suspects_queue
from rmqwork._worker.model.held import HeldDelivery, number_header
from rmqwork._worker.model.workflow import (
    Carried,
    after_failure,
    after_replacement,
    after_success,
    never_ran,
)
from rmqwork._workflows.context import TooLarge
from rmqwork.types import (
    Evidence,
    Failure,
    Outcome,
    Publication,
    Reason,
    Replaced,
    RetryOutcome,
    Success,
)

_log = logging.getLogger("rmqwork.worker.settling")
_MESSAGE_BYTES: Final = 4 << 10
_TRACEBACK_BYTES: Final = 24 << 10
_FOREIGN_BYTES: Final = 64 << 10
_UNKNOWN_STEPS: Final = 20
_UNKNOWN_WAIT: Final = (0.5, 10.0)


@dataclass(frozen=True, slots=True)
class Ack:
    """Done; nothing follows."""


@dataclass(frozen=True, slots=True)
class PublishThenAck:
    """Publish, and ack when the broker has confirmed all. Never the other way round."""

    publication: Publication
    more: tuple[Publication, ...] = ()
    """What else; replies that nobody may be there to take (`is_reply`) among it."""
    never: tuple[str, ...] = ()
    """The ids of tasks that were to come after it, and will not run."""
    runs: Mapping[str, str] = field(default_factory=dict)
    """Which runs of chosen ids these are, by id."""

    @property
    def publications(self) -> tuple[Publication, ...]:
        """All of them, in order."""
        return (self.publication, *self.more)


@dataclass(frozen=True, slots=True)
class HandBack:
    """Give it back to its queue, without blame."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep it, its partition with it, and look at it again after ``delay`` seconds."""

    delay: float


Decision = Ack | PublishThenAck | HandBack | Hold


def decide(held: HeldDelivery, outcome: Outcome, host: str, back_to: str | None = None) -> Decision:
    """What is to be done with a delivery.

    Args:
        held: the delivery.
        outcome: what its executor reported.
        host: this worker's name, for the evidence.
        back_to: the queue for another attempt; None = its own.
    """
    match outcome:
        case Success():
            if held.carried is not None:
                return _move_on(held, held.carried, outcome, host)
            if outcome.result is None:
                return Ack()
            answer = reply(held, outcome.result)
            return PublishThenAck(answer[0]) if answer else Ack()
        case RetryOutcome(_, delay, counts, evidence):
            changed: dict[str, object] = {names.ATTEMPT: held.attempt}
            if counts:
                changed = {names.ATTEMPT: held.attempt + 1, HISTORY: history(held, evidence, host)}
            answer = reply(held, record.retry(evidence)) if held.delivery.reply_to else ()
            return PublishThenAck(again(held, delay, changed, back_to), answer)
        case Replaced(_, node):
            return _put_in_place(held, node, host)
        case Failure(_, reason, evidence):
            return _give_up(held, reason, evidence, host)


def history(held: HeldDelivery, evidence: Evidence, host: str) -> str:
    """The header that remembers the attempts of a message, this one among them."""
    step = AttemptRecord(held.attempt, utc_now(), host, summary(evidence.type, evidence.message))
    return append(held.delivery.headers, step)


def unknown_task(held: HeldDelivery, what: str, grace: float, host: str) -> Decision:
    """A task, or a version of it, that this worker does not know: another one may, or a new one.

    Args:
        held: the delivery.
        what: what is not known, for people.
        grace: seconds for which the message waits on the delay queues.
        host: this worker's name.
    """
    now = round(time() * 1000)
    since = number_header(held.delivery, names.UNKNOWN_SINCE, now)
    left = grace - (now - since) / 1000
    if left <= 0:
        evidence = Evidence(
            "UnknownTask",
            f"{what}; it waited {grace:g} s (RMQWORK_UNKNOWN_TASK_GRACE) for one that knows it",
        )
        return _give_up(held, Reason.UNKNOWN_TASK, evidence, host)
    shortest, longest = _UNKNOWN_WAIT
    wait = min(max(grace / _UNKNOWN_STEPS, shortest), longest, left)
    if held.partition is not None:  # on the delay queues, it would be overtaken
        held.delivery.headers = {**held.delivery.headers, names.UNKNOWN_SINCE: since}
        return Hold(wait)
    return PublishThenAck(again(held, wait, {names.UNKNOWN_SINCE: since}))


def _move_on(held: HeldDelivery, carried: Carried, outcome: Success, host: str) -> Decision:
    """A step of a workflow has succeeded: what follows goes with its answer."""
    answer = () if outcome.result is None else reply(held, outcome.result)
    value = b"null" if outcome.result is None else record.value_of(outcome.result)
    try:
        if value is None:
            lost = record.read(outcome.result or b"").evidence
            return _give_up(held, Reason.FAILED, lost, host, answer)
        following = after_success(carried, held.delivery, value)
    except (TooLarge, ValueError, TypeError, LookupError, AttributeError) as error:
        text = f"the task succeeded, but its workflow cannot go on: {error}"
        return _give_up(held, Reason.FAILED, Evidence(type(error).__name__, text), host, answer)
    following += answer
    return PublishThenAck(following[0], tuple(following[1:])) if following else Ack()


def _put_in_place(held: HeldDelivery, node: bytes, host: str) -> Decision:
    """A task has replaced itself."""
    try:
        following = after_replacement(held.carried, held.delivery, held.task_id, node, held.home)
    except (TooLarge, ValueError, TypeError, LookupError, AttributeError) as error:
        text = f"what the task put in its place cannot be started: {error}"
        return _give_up(held, Reason.FAILED, Evidence(type(error).__name__, text), host)
    return PublishThenAck(following[0], tuple(following[1:])) if following else Ack()


def _give_up(
    held: HeldDelivery,
    reason: Reason,
    evidence: Evidence,
    host: str,
    answer: tuple[Publication, ...] | None = None,
) -> PublishThenAck:
    """To the dead-letter queue, an answer to whoever waits, and the end of its workflow."""
    letter = dead_letter(held, reason, evidence, host)
    reply_to = held.delivery.reply_to
    if answer is None:
        answer = reply(held, record.failure(reason, evidence)) if reply_to else ()
    if held.carried is None:
        return PublishThenAck(letter, answer)
    try:
        broken = after_failure(
            held.carried, held.delivery, held.task_id, held.attempt, reason, evidence
        )
    except (TooLarge, ValueError, TypeError, LookupError, AttributeError) as error:
        _log.error("%s: its workflow ends here, and cannot be read: %s", held.task_id, error)
        return PublishThenAck(letter, answer)
    answers = never_ran(broken, reply_to, reason, evidence)
    following = (*broken.publications, *answer, *answers)
    return PublishThenAck(letter, following, tuple(broken.never), broken.runs)


def reply(held: HeldDelivery, body: bytes) -> tuple[Publication, ...]:
    """A record for the queue that the message names, if it names one.

    Args:
        held: the delivery.
        body: from `rmqwork._results.record`.
    """
    delivery = held.delivery
    if not delivery.reply_to:
        return ()
    answered = delivery.correlation_id or held.task_id
    run = delivery.headers.get(names.RUN)
    said = {} if run is None else {names.RUN: run}
    publication = Publication(
        "", delivery.reply_to, body, held.task_id, record.REPLY, said, correlation_id=answered
    )
    return (publication,)


def is_reply(publication: Publication) -> bool:
    """Whether a publication may be dropped when nobody is there to take it."""
    return publication.type == record.REPLY


def again(
    held: HeldDelivery, delay: float, changed: dict[str, object], back_to: str | None = None
) -> Publication:
    """The same message once more, after a delay in seconds; ``back_to`` None = for its queue."""
    headers = {**_origin(held), **names.may_travel(held.delivery.headers), **changed}
    due = time() + delay if delay > 0 else None
    return _copy(held, RETURN_EXCHANGE, back_to or held.queue, headers, due)


def move_to_suspects(held: HeldDelivery) -> Publication:
    """The same message for the queue of those that run isolated."""
    headers = {**_origin(held), **names.may_travel(held.delivery.headers)}
    return _copy(held, "", suspects_queue(held.queue), headers, None)


def dead_letter(held: HeldDelivery, reason: Reason, evidence: Evidence, host: str) -> Publication:
    """The message for its dead-letter queue, body untouched, with the evidence in its headers."""
    foreign = names.may_travel(held.delivery.headers)
    if _size(foreign) > _FOREIGN_BYTES:
        foreign = {key: value for key, value in foreign.items() if key.startswith("rmqwork-")}
    headers = {
        **_origin(held),
        **foreign,
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
    """The same without foreign headers and without its traceback, for when it cannot be sent."""
    kept = {
        key: value
        for key, value in publication.headers.items()
        if key.startswith("rmqwork-") and key != names.ERROR_TRACEBACK
    }
    return replace(publication, headers=kept)


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


def _size(headers: dict[str, object]) -> int:
    return sum(
        len(key) + len(str(value).encode("utf-8", "replace")) for key, value in headers.items()
    )


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
