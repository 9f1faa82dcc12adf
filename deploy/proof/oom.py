"""A task that gets its whole container killed, each time: what Kubernetes does on cgroup v2.

    python -m deploy.proof.oom

Since 1.28 the kubelet sets ``memory.oom.group``, so that one process that takes too much memory
takes all of its container with it (unless ``singleProcessOOMKill`` is set, 1.32 and newer). Here
the container's process 1 is killed from outside whenever the task has started, and Docker starts
the container again. Exit code 1 unless the task ends as a dead letter, alone: nothing else is lost
or dead-lettered.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress

os.environ.setdefault("PROOF_LEDGER", os.devnull)

from deploy.proof.app import anap, app, eat
from deploy.proof.docker import Container, Site, until
from deploy.proof.rolling import app_settings
from tools.chaos.collect import take_dead_letters
from tools.chaos.ledger import LedgerWriter, judge, read

POISON = "poison"
_INNOCENT = 200


def main() -> int:
    """Publish one poison among innocents, kill, and say what became of each."""
    with Site() as site:
        broker = site.rabbitmq()
        url = f"amqp://guest:guest@{broker.address}:5672/"
        app_settings(url)
        ledger = LedgerWriter(site.ledger, "killer")
        worker = site.worker("victim", "-c", "4", options=("--restart", "always"))
        worker.wait_ready()
        killer = threading.Thread(target=_kill_always, args=(site, worker), daemon=True)
        killer.start()
        for number in range(_INNOCENT):
            _publish(ledger, f"innocent-{number}", "done", anap.options, 0.5)
            if number == 20:
                _publish(ledger, POISON, "dead", eat.options, 1, 60.0)
        until(lambda: _starts(site) and _dead(broker), "the dead letter", 180, 1)
        until(lambda: len(judge(read(site.ledger)).executed) >= _INNOCENT, "the innocents", 120, 1)
        time.sleep(1)
        take_dead_letters(url, ["proof"], ledger)
        lines = read(site.ledger)
        verdict = judge(lines)
        deaths = sum(line.kind == "start" and line.id == POISON for line in lines)
        print(f"the container was killed {deaths} times; restarts {worker.state['StartedAt']}")
        print(f"verdict {verdict.counts()}")
        print(f"dead letters {[line.text for line in lines if line.kind == 'dead']}")
        app.close()
        return 0 if verdict.good and verdict.dead_lettered == {POISON} else 1


def _publish(ledger, task_id, fate, options, *arguments) -> None:  # type: ignore[no-untyped-def]
    ledger.attempt(task_id, fate)
    options(task_id=task_id).delay(*arguments)
    ledger.confirm(task_id)


def _starts(site: Site) -> int:
    return sum(line.kind == "start" and line.id == POISON for line in read(site.ledger))


def _dead(broker: Container) -> bool:
    rows = broker.exec("rabbitmqctl", "-q", "list_queues", "name", "messages").splitlines()
    return any(row.split() == ["proof.dlq", "1"] for row in rows)


def _kill_always(site: Site, worker: Container) -> None:
    killed = 0
    while True:
        starts = _starts(site)
        if starts > killed:
            killed = starts
            with suppress(ProcessLookupError, RuntimeError):
                if pid := int(worker.state["Pid"]):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
