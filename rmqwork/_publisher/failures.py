"""What a publisher is told of a publication that the broker has not confirmed."""

from __future__ import annotations

from rmqwork.errors import (
    BrokerBlocked,
    BrokerUnavailable,
    Nacked,
    PublishError,
    PublishTimeout,
    Unroutable,
)
from rmqwork.types import Publication, Verdict


def too_late(
    publication: Publication,
    timeout: float,
    sent: bool,
    blocked: bool,
    problem: str | None,
    stalled: bool = False,
) -> PublishError:
    """The error for what had no confirm in time.

    Args:
        publication: that was submitted.
        timeout: seconds that it had.
        sent: whether it has left, so that it may have arrived.
        blocked: whether the broker takes nothing from publishers.
        problem: why there is no connection; None = there is one.
        stalled: whether its queue has confirmed nothing of late, while others did.
    """
    task_id = publication.message_id
    what = f"task {publication.type!r} ({task_id}) was not confirmed within {timeout:g} s"
    known = "it may have arrived" if sent else "it was not sent"
    if blocked:
        return BrokerBlocked(
            f"{what}: the broker blocks publishers (memory or disk alarm); {known}; free memory or "
            "disk on the broker and publish again",
            task_id=task_id,
            may_have_arrived=sent,
        )
    if problem is not None:
        return BrokerUnavailable(
            f"{what}: {problem}; {known}", task_id=task_id, may_have_arrived=sent
        )
    if stalled:
        what += (
            f": the queue of exchange {publication.exchange!r}, routing key "
            f"{publication.routing_key!r} confirms nothing (have its nodes a majority?)"
        )
    return PublishTimeout(
        f"{what}; {known}; publish again with the same task_id, or raise publish_timeout",
        task_id=task_id,
        may_have_arrived=sent,
    )


def refused(publication: Publication, verdict: Verdict, text: str) -> PublishError:
    """The error for what the broker has not taken.

    Args:
        publication: that was sent.
        verdict: not `Verdict.CONFIRMED`.
        text: what the broker has said.
    """
    what = f"task {publication.type!r} ({publication.message_id})"
    route = f"exchange {publication.exchange!r}, routing key {publication.routing_key!r}"
    task_id = publication.message_id
    if verdict is Verdict.RETURNED:
        return Unroutable(
            f"{what} was returned by the broker: {text}: no queue for {route}; declare the queue "
            "(start its worker once, or name it in App(queues=[...])) or mend the route",
            task_id=task_id,
        )
    if verdict is Verdict.NACKED:
        return Nacked(
            f"{what} was refused by its queue ({route}): the queue is full; publish again later, "
            "add workers, or raise its max_length",
            task_id=task_id,
        )
    return PublishError(f"{what} was refused by the broker ({route}): {text}", task_id=task_id)
