"""``rmqwork bench``: what this machine and this broker can do, measured with queues of its own."""

from rmqwork._cli.bench.measure import Bench, Figure

__all__ = ["Bench", "Figure"]
