"""All checks, in the order in which their findings are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from rmqwork._admin.doctor import broker, queues
from rmqwork._admin.doctor.facts import Facts
from rmqwork._admin.doctor.finding import Finding

Check = Callable[[Facts], Iterable[Finding]]
CHECKS: Final[Sequence[Check]] = (
    broker.alarms,
    broker.cluster,
    broker.rights,
    broker.version,
    broker.feature_flags,
    queues.topology_missing,
    queues.queue_differs,
    queues.dead_letters_can_be_lost,
    queues.delivery_limit,
    queues.policy_overrides,
    queues.migration_left,
    queues.unread,
    queues.classic_on_a_cluster,
    broker.consumer_timeout,
    broker.certificates,
    broker.login,
    broker.clock,
    broker.settings,
)


def examine(facts: Facts) -> list[Finding]:
    """What is wrong, errors first."""
    found = [finding for check in CHECKS for finding in check(facts)]
    return sorted(found, key=lambda finding: finding.severity != "error")
