"""From an outcome to one decision, as a value; nothing is done here.

`rmqwork._worker.settle.settlement` carries decisions out, in the order that loses nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import time
from typing import Final

from rmqwork._messages import headers as names
from rmqwork._messages.history import HISTORY, AttemptRecord, append, summary, utc_now
from rmqwork._results import record
from rmqwork._worker.model.held import HeldDelivery, number_header
from rmqwork._worker.model.workflow import (
    Carried,
    after_failure,
    after_replacement,
    after_success,
    never_ran,
)
from rmqwork._worker.policy.copies import again, dead_letter
from rmqwork._worker.policy.task_log import report
from rmqwork._workflows.flow import CANNOT_GO_ON
from rmqwork.errors import InvalidMessage
from rmqwork.types import (
    Evidence,
    Failure,
    Headers,
    Outcome,
    Publication,
    Reason,
    Replaced,
    RetryOutcome,
    Success,
)

_log = logging.getLogger("rmqwork.worker.settling")
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
    """Keep it, its partition with it, and look at it again after ``delay`` seconds, with these
    headers besides its own.
    """

    delay: float
    headers: Headers = field(default_factory=dict)


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
        return Hold(wait, {names.UNKNOWN_SINCE: since})
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
    except CANNOT_GO_ON as error:
        text = f"the task succeeded, but its workflow cannot go on: {error}"
        return _give_up(held, Reason.FAILED, Evidence(type(error).__name__, text), host, answer)
    following += answer
    return PublishThenAck(following[0], tuple(following[1:])) if following else Ack()


def _put_in_place(held: HeldDelivery, node: bytes, host: str) -> Decision:
    """A task has replaced itself."""
    try:
        following = after_replacement(held.carried, held.delivery, held.task_id, node, held.home)
    except CANNOT_GO_ON as error:
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
    except CANNOT_GO_ON as error:
        _log.error("%s: its workflow ends here, and cannot be read: %s", held.task_id, error)
        return PublishThenAck(letter, answer)
    answers = never_ran(broken, reply_to, reason, evidence)
    following = (*broken.publications, *answer, *answers)
    return PublishThenAck(letter, following, tuple(broken.never), broken.runs)


def stranded(
    held: HeldDelivery, error: Exception, host: str, *, alone: bool = False
) -> PublishThenAck:
    """The dead letter of a delivery whose next step can never be published.

    Args:
        held: the delivery.
        error: why the step was not taken.
        host: this worker's name.
        alone: without what its workflow would do next, which could not be published either.
    """
    reason = Reason.INVALID_MESSAGE if isinstance(error, InvalidMessage) else Reason.FAILED
    evidence = Evidence(type(error).__name__, f"its workflow cannot go on: {error}")
    report(held, Failure(0.0, reason, evidence))
    if alone:
        return PublishThenAck(dead_letter(held, reason, evidence, host))
    return _give_up(held, reason, evidence, host)


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
