"""When a broker that says nothing is given up.

pika looks once in the heartbeat and 5 s, and gives up if nothing has come since it looked last: a
peer that is gone without a word is noticed after 15 to 30 s with a heartbeat of 10 s, after 65 to
130 s with RabbitMQ's own of 60 s. A broker with nothing to say sends a heartbeat in half the time
(https://www.rabbitmq.com/docs/heartbeats). So here it is given up when two of them are overdue.
"""

from __future__ import annotations

from typing import Final

LOOKS: Final = 5
"""So many looks in a row without a byte end a connection. That they are counted one by one keeps a
loop that was held up itself from taking its own pause for the broker's."""
_OVERDUE: Final = 0.25
"""The part of a heartbeat by which the second one may be late, and seconds at least: with short
heartbeats, a machine that is busy for a moment must not look dead."""
_SECONDS: Final = 2.5


def check_interval(heartbeat: float) -> float:
    """Return the seconds between two looks.

    Args:
        heartbeat: seconds, as agreed with the broker.
    """
    return (heartbeat + max(_OVERDUE * heartbeat, _SECONDS)) / LOOKS
