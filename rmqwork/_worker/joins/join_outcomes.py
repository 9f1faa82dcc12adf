"""What follows from the end of a join, as publications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from rmqwork._messages import headers as names
from rmqwork._topology import join_queues
from rmqwork._worker.model.workflow import never_ran
from rmqwork._workflows import flow, splice
from rmqwork._workflows.context import TooLarge
from rmqwork._workflows.join import Abandon, Complete, Fail
from rmqwork._workflows.join_messages import Opened
from rmqwork.types import Delivery, Evidence, Failure, Publication, Reason


@dataclass(frozen=True, slots=True)
class Consequences:
    """What an end leads to.

    Args:
        publications: to be confirmed before the join is.
        failures: for the store, by the ids of the tasks that will never run.
        problem: what went wrong, for the log; empty: nothing.
    """

    publications: tuple[Publication, ...]
    failures: dict[str, Failure]
    problem: str = ""
    runs: Mapping[str, str] = field(default_factory=dict)
    """Which runs of chosen ids the failures are of, by id."""


def of_end(
    effect: Complete | Fail | Abandon[Delivery], now: float, ttl: float, host: str
) -> Consequences:
    """What follows from a join.

    Args:
        effect: its end.
        now: seconds since the epoch.
        ttl: for how many seconds a join may be open.
        host: this worker's name.
    """
    try:
        return _of_end(effect, now, ttl, host)
    except (TooLarge, ValueError, TypeError, LookupError, AttributeError) as error:
        # What the opening says was written by hand, or by something else than rmqwork.
        return _unreadable(effect, f"what comes after {effect.join} cannot be read: {error}", host)


def _of_end(
    effect: Complete | Fail | Abandon[Delivery], now: float, ttl: float, host: str
) -> Consequences:
    match effect:
        case Complete(join, opened, values):
            try:
                carry = replace(opened.carry, now=now)
                following = flow.proceed(opened.then, splice.array(values), carry)
                return Consequences(tuple(following), {})
            except TooLarge as error:
                return _broken(opened, _failure(join, Reason.FAILED, "TooLarge", str(error)), now)
        case Fail(join, opened, body):
            try:
                failure = flow.failure_of(body)
            except ValueError as error:
                failure = _failure(join, Reason.FAILED, "InvalidMessage", str(error))
            return _broken(opened, failure, now)
        case Abandon(join, opened, arrived, tokens):
            text = f"only {arrived} of {opened.size if opened else '?'} came within {ttl:g} s"
            if opened is None:
                text += "; what opens the join never did"
            letters = tuple(_letter(one, text, host) for one in tokens)
            if opened is None:
                return Consequences(letters, {}, f"{join} is given up: {text}")
            broken = _broken(opened, _failure(join, Reason.EXPIRED, "JoinAbandoned", text), now)
            return replace(broken, publications=(*letters, *broken.publications))


def _unreadable(effect: Complete | Fail | Abandon[Delivery], why: str, host: str) -> Consequences:
    """The join ends, and what it has gathered is a dead letter."""
    match effect:
        case Complete(_, _, values):
            body = splice.array(values)
        case Fail(_, _, failure):
            body = failure
        case Abandon(_, _, _, tokens):
            return Consequences(tuple(_letter(one, why, host) for one in tokens), {}, why)
    headers = _evidence(Reason.INVALID_MESSAGE, "InvalidMessage", why, host)
    letter = Publication("", join_queues.DEAD_LETTERS, body, effect.join, join_queues.TYPE, headers)
    return Consequences((letter,), {}, why)


def _failure(join: str, reason: Reason, kind: str, text: str) -> dict[str, Any]:
    """The failure of a join itself."""
    return {
        "task_id": join,
        "task": None,
        "reason": reason.value,
        "type": kind,
        "message": text,
        "traceback": "",
        "attempt": 1,
    }


def _broken(opened: Opened, failure: dict[str, Any], now: float) -> Consequences:
    carry = replace(opened.carry, now=now)
    failure = {**failure, "workflow": carry.workflow}
    broken = flow.ended(opened.then, failure, carry)
    kind, text, traceback = (str(failure.get(n, "")) for n in ("type", "message", "traceback"))
    evidence = Evidence(kind, text, traceback)
    try:
        reason = Reason(str(failure.get("reason")))
    except ValueError:
        reason = Reason.FAILED
    answers = never_ran(broken, carry.reply_to, reason, evidence)
    return Consequences(
        (*broken.publications, *answers),
        dict.fromkeys(broken.never, Failure(0.0, reason, evidence)),
        f"{failure.get('task') or 'the join'} ({failure.get('task_id')}): {kind}: {text[:300]}",
        broken.runs,
    )


def _letter(delivery: Delivery, why: str, host: str) -> Publication:
    return dead_letter(delivery, Reason.EXPIRED, "JoinAbandoned", why, host)


def dead_letter(delivery: Delivery, reason: Reason, kind: str, why: str, host: str) -> Publication:
    """A message of a shard for its dead-letter queue, with the evidence."""
    headers = {
        **names.may_travel(delivery.headers),
        names.EXCHANGE: delivery.exchange,
        names.ROUTING_KEY: delivery.routing_key,
        names.QUEUE: delivery.queue,
        **_evidence(reason, kind, why, host),
    }
    return Publication(
        "",
        join_queues.DEAD_LETTERS,
        delivery.body,
        delivery.message_id or "",
        delivery.type,
        headers,
        content_type=delivery.content_type,
        timestamp=delivery.timestamp,
        app_id=delivery.app_id,
    )


def _evidence(reason: Reason, kind: str, why: str, host: str) -> dict[str, object]:
    return {
        names.HOST: host,
        names.ERROR_REASON: reason.value,
        names.ERROR_TYPE: kind,
        names.ERROR_MESSAGE: why[:1000],
        names.ERROR_AT: datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
