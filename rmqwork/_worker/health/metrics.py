"""What a worker tells Prometheus (text format 0.0.4), from what it tells probes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_GAUGES: Final = {
    "consuming": "1 while the worker consumes.",
    "publishing": "1 while its second connection, for publishes, stands.",
    "stopping": "1 during a shutdown.",
    "running": "Deliveries with the executors.",
    "waiting": "Deliveries that no executor has yet.",
    "settling": "Outcomes that are not settled yet.",
}

_SWITCH: Final = {"probing": 1, "waiting": 2}


def exposition(detail: Mapping[str, Any], live: bool) -> str:
    """The lines of one scrape.

    Args:
        detail: see `rmqwork._worker.worker.Worker.detail`.
        live: whether the worker is.
    """
    return "".join(f"{line}\n" for line in _lines(detail, live))


def _lines(detail: Mapping[str, Any], live: bool) -> Iterator[str]:
    labels = f'app="{_escaped(detail["app"])}",worker="{_escaped(detail["worker"])}"'
    yield from _metric("live", "1 while the loop turns and executors answer.", int(live), labels)
    for name, text in _GAUGES.items():
        yield from _metric(name, text, int(detail[name]), labels)
    yield "# HELP rmqwork_executors Executor processes, by state."
    yield "# TYPE rmqwork_executors gauge"
    states = Counter(one["state"] for one in detail["executors"])
    for state in ("starting", "ready", "stopping"):
        yield f'rmqwork_executors{{{labels},state="{state}"}} {states[state]}'
    yield "# HELP rmqwork_queue_paused 1 while nothing is taken from the queue, by why."
    yield "# TYPE rmqwork_queue_paused gauge"
    for queue in detail["queues"]:
        for why in ("operator", "kill switch"):
            value = int(why in detail["paused"].get(queue, ()))
            yield f'rmqwork_queue_paused{{{labels},queue="{_escaped(queue)}",by="{why}"}} {value}'
    yield "# HELP rmqwork_kill_switch 0: all is taken, 1: one message at a time, 2: nothing."
    yield "# TYPE rmqwork_kill_switch gauge"
    for queue in detail["queues"]:
        state = detail["kill_switches"].get(queue, {}).get("state")
        value = _SWITCH.get(state, 0)
        yield f'rmqwork_kill_switch{{{labels},queue="{_escaped(queue)}"}} {value}'
    yield "# HELP rmqwork_dropped_replies_total Results that nobody was there to take."
    yield "# TYPE rmqwork_dropped_replies_total counter"
    yield f"rmqwork_dropped_replies_total{{{labels}}} {detail['dropped_replies']}"


def _metric(name: str, text: str, value: int, labels: str) -> Iterator[str]:
    yield f"# HELP rmqwork_{name} {text}"
    yield f"# TYPE rmqwork_{name} gauge"
    yield f"rmqwork_{name}{{{labels}}} {value}"


def _escaped(text: object) -> str:
    return str(text).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
