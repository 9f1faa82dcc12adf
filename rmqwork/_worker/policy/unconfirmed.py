"""What of some publications is still to be published, after the broker's answers."""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence
from math import inf
from typing import Final

from rmqwork._publisher.until_confirmed import Remaining
from rmqwork._transport.properties import check_route, encode_properties
from rmqwork._worker.policy.copies import slim
from rmqwork._worker.policy.decide import is_reply
from rmqwork.errors import (
    BrokerBlocked,
    BrokerUnavailable,
    InvalidMessage,
    Nacked,
    PublishError,
    PublishTimeout,
)
from rmqwork.types import Publication

_log = logging.getLogger("rmqwork.worker.settling")
_WITH_OTHERS: Final = PublishTimeout("it was not sent, because of another of its batch")
_MAY_PASS: Final = (BrokerUnavailable, BrokerBlocked, PublishTimeout)
"""For these even a reply is tried again: somebody may wait for it."""


def remaining(publications: Sequence[Publication], errors: Sequence[Exception | None]) -> Remaining:
    """What is left, given an error or None for each publication."""
    again: list[Publication] = []
    reasons: list[Exception] = []
    dropped = 0
    culprits = _culprits(publications, errors)
    for at, (publication, error) in enumerate(zip(publications, errors, strict=True)):
        if error is None:
            continue
        innocent = isinstance(error, InvalidMessage) and at not in culprits
        if is_reply(publication) and not innocent and not isinstance(error, _MAY_PASS):
            dropped += 1
            _log.info("the reply of %s is dropped: %s", publication.message_id, error)
            continue
        if at in culprits:
            again.append(slim(publication))
            reasons.append(error)
        else:
            again.append(publication)
            reasons.append(_WITH_OTHERS if innocent else error)
    return Remaining(tuple(again), tuple(reasons), dropped)


def is_hopeless(error: Exception, *, late: bool) -> bool:
    """Whether a publication will never be taken.

    Args:
        error: why it was not.
        late: whether it was tried for long enough to believe that nobody mends its route.
    """
    if isinstance(error, InvalidMessage):
        return True
    return late and isinstance(error, PublishError) and not isinstance(error, (*_MAY_PASS, Nacked))


def _culprits(
    publications: Sequence[Publication], errors: Sequence[Exception | None]
) -> Container[int]:
    """The places of those that can never be sent: one of them stops all that was submitted with it.

    Where each can be encoded, the frames of this broker are too small for the largest.
    """
    invalid = [at for at, error in enumerate(errors) if isinstance(error, InvalidMessage)]
    if len(invalid) <= 1:
        return invalid
    sizes = {at: _size(publications[at]) for at in invalid}
    return [at for at, size in sizes.items() if size == max(sizes.values())]


def _size(publication: Publication) -> float:
    """Bytes of its properties; infinite where they cannot be encoded."""
    try:
        check_route(publication.exchange, publication.routing_key)
        return len(encode_properties(publication, publication.headers))
    except (InvalidMessage, RecursionError):
        return inf
