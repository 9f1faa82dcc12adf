"""How much a publisher has under way, and how long it waits for a confirm."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a publisher.

    Args:
        window: publications that may wait for their confirm at once.
        window_bytes: bytes of their bodies.
        stall: seconds without any answer after which what is to come goes over another connection.
        unconfirmed: seconds after which a channel with an unconfirmed publication is given up.
        close_timeout: seconds that the broker has for the end of such a channel; then the
            connection goes, too.
        detour_window: publications of one stalled route that may wait for their confirm at once.
            RabbitMQ gives a channel credit for 400; beyond that it holds back its connection.
        detours: connections of stalled routes; further routes share the last one.
    """

    window: int = 1000
    window_bytes: int = 64 << 20
    stall: float = 3.0
    unconfirmed: float = 60.0
    close_timeout: float = 5.0
    detour_window: int = 200
    detours: int = 16


LIMITS = Limits()
