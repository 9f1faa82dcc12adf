"""What of some publications is still to be published, after the broker's answers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from rmqwork._publisher.until_confirmed import Remaining
from rmqwork._worker.policy.decide import is_reply, slim
from rmqwork.errors import BrokerBlocked, BrokerUnavailable, InvalidMessage, PublishTimeout
from rmqwork.types import Publication

_log = logging.getLogger("rmqwork.worker.settling")
_MAY_PASS: Final = (BrokerUnavailable, BrokerBlocked, PublishTimeout)
"""For these even a reply is tried again: somebody may wait for it."""


def remaining(publications: Sequence[Publication], errors: Sequence[Exception | None]) -> Remaining:
    """What is left, given an error or None for each publication."""
    again: list[Publication] = []
    reason: Exception | None = None
    dropped = 0
    for publication, error in zip(publications, errors, strict=True):
        if error is None:
            continue
        if is_reply(publication) and not isinstance(error, _MAY_PASS):
            dropped += 1
            _log.info("the reply of %s is dropped: %s", publication.message_id, error)
            continue
        again.append(slim(publication) if isinstance(error, InvalidMessage) else publication)
        reason = reason or error
    return Remaining(tuple(again), reason, dropped)
