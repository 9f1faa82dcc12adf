"""A cluster of three RabbitMQ nodes, whose leader of the busiest queue is broken again and again.

    python -m deploy.proof.cluster [--fault kill|stop_app|restart|cut] [--times 10] [--seconds 5]
                                   [--rate 200] [--workers 2] [--setuptime 1]
                                   [--ticktime 15] [--heartbeat 60]
    make cluster                        # only the cluster, until Ctrl-C

Workers and the publisher have the addresses of all three nodes. Each fault is mended after some
seconds, and the next one waits until the queue has all its members. Says what became of each
message and how long nothing was consumed after each fault; exit code 1 if anything was lost,
stranded or dead-lettered, or consumption was not back within 5 s.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

os.environ.setdefault("PROOF_LEDGER", os.devnull)

from deploy.proof.docker import RABBITMQ, Site, until
from deploy.proof.faults import FAULTS
from deploy.proof.load import Publisher, by_worker, latencies, longest_silence, spread
from deploy.proof.machine import Machine
from deploy.proof.rolling import app_settings
from tools.chaos.ledger import LedgerWriter, judge, pending, read

NODES = ("rabbit-1", "rabbit-2", "rabbit-3")
QUEUE = "proof"
_SOON = 5.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Cluster:
    """Three nodes that find each other by their names (classic_config peer discovery).

    Args:
        site: where.
        setuptime: see `cluster`.
        ticktime: likewise.
    """

    def __init__(self, site: Site, setuptime: int, ticktime: int) -> None:
        self.site = site
        config = site.folder / "10-cluster.conf"
        config.write_text(
            "cluster_formation.peer_discovery_backend = classic_config\n"
            + "".join(
                f"cluster_formation.classic_config.nodes.{number} = rabbit@{name}\n"
                for number, name in enumerate(NODES, 1)
            )
            + "cluster_partition_handling = pause_minority\nqueue_leader_locator = balanced\n"
            f"net_ticktime = {ticktime}\nloopback_users = none\n"
        )
        cookie = site.folder / "cookie"
        cookie.write_text("proof-of-a-cluster")
        start = (
            "cp /proof-cluster/cookie $HOME/.erlang.cookie && chmod 400 $HOME/.erlang.cookie && "
            "exec /usr/lib/rabbitmq/bin/rabbitmq-server"
        )
        self.nodes = {
            name: site.run(
                name, RABBITMQ,
                "-e", f"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel net_setuptime {setuptime}",
                "-v", f"{site.folder}:/proof-cluster:ro",
                "-v", f"{config}:/etc/rabbitmq/conf.d/10-cluster.conf:ro",
                command=("sh", "-c", f"[ -f $HOME/.erlang.cookie ] || {{ {start}; }}; "
                         "exec /usr/lib/rabbitmq/bin/rabbitmq-server"),
            )
            for name in NODES
        }  # fmt: skip
        for node in self.nodes.values():
            site.wait_broker(node)
        until(lambda: len(self.running()) == len(NODES), "three nodes", 60, 0.5)
        self.addresses = {name: node.address for name, node in self.nodes.items()}

    def urls(self, inside: bool) -> str:
        """The addresses of all nodes: by name for containers, by number for this process."""
        hosts = NODES if inside else tuple(self.addresses.values())
        return ",".join(f"amqp://guest:guest@{host}:5672/" for host in hosts)

    def ask(self, path: str) -> Any:
        """Ask the management API of the first node that answers."""
        for node in self.nodes.values():
            address = node.address
            if not address:
                continue
            request = urllib.request.Request(f"http://{address}:15672/api/{path}")
            request.add_header("Authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")  # guest:guest
            try:
                with _OPENER.open(request, timeout=10) as answer:
                    return json.load(answer)
            except OSError:
                continue
        return None

    def running(self) -> list[str]:
        """The names of the nodes that run, as the cluster knows them."""
        nodes = self.ask("nodes") or []
        return [one["name"] for one in nodes if one.get("running")]

    def clients(self, node: str) -> list[str]:
        """The names of the connections that a node serves."""
        connections = self.ask("connections") or []
        return sorted(
            one.get("client_properties", {}).get("connection_name", "?").removeprefix("rmqwork ")
            for one in connections
            if one.get("node") == f"rabbit@{node}"
        )

    def leader(self) -> str | None:
        """The node that leads the queue, if it has all its members."""
        queue = self.ask(f"queues/%2F/{QUEUE}")
        if not queue or len(queue.get("online", ())) < len(NODES):
            return None
        return str(queue.get("leader", "")).removeprefix("rabbit@") or None


@contextmanager
def cluster(setuptime: int = 1, ticktime: int = 15) -> Iterator[Cluster]:
    """A cluster, removed at the end.

    Args:
        setuptime: seconds that a node waits for another one that does not answer; Erlang's own
            7 s are how long some clients wait after the death of a leader.
        ticktime: seconds after which nodes give up one that says nothing; RabbitMQ's own are 60.
    """
    with Site() as site:
        yield Cluster(site, setuptime, ticktime)


def main() -> int:
    """Break leaders, and say what became of the messages."""
    options = _options()
    began = time.time()
    with cluster(options.setuptime, options.ticktime) as three:
        print(f"three nodes in {time.time() - began:.0f} s: {three.urls(inside=False)}", flush=True)
        if options.only:
            with suppress(KeyboardInterrupt):
                signal.pause()
            return 0
        app_settings(three.urls(inside=False), options.heartbeat)
        for number in range(options.workers):
            three.site.worker(
                f"w-{number}", "-c", "20", "--async-concurrency", "100",
                broker=three.urls(inside=True),
                environment={"RMQWORK_HEARTBEAT": str(options.heartbeat)},
            ).wait_ready()  # fmt: skip
        machine = Machine()
        publisher = Publisher(three.site.ledger, options.rate, 0.01, 0.5)
        time.sleep(5)
        at = [_break(three, options, number) for number in range(options.times)]
        time.sleep(_SOON)
        ends = [*at[1:], time.time()]
        print(f"machine        {machine.between(at[0], ends[-1])}")
        publisher.stop()
        until(lambda: not pending(read(three.site.ledger)), "all tasks to end", 180, 1)
        lines = read(three.site.ledger)
        for kind, name in (("confirm", "publishes"), ("start", "tasks")):
            silences = [longest_silence(lines, *one, kind) for one in zip(at, ends, strict=True)]
            each = ", ".join(f"{one:.2f}" for one in silences)
            print(f"no {name:12}for {each} s at most after each fault")
        return _report(three, silences, began)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", choices=FAULTS, default="kill")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5.0, help="until a fault is mended")
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--setuptime", type=int, default=1)
    parser.add_argument("--ticktime", type=int, default=15)
    parser.add_argument("--heartbeat", type=int, default=60, help="of all clients; seconds")
    parser.add_argument("--only", action="store_true", help="start it, and wait for Ctrl-C")
    return parser.parse_args()


def _break(three: Cluster, options: argparse.Namespace, number: int) -> float:
    """Break the leader and mend it; returns when it was broken."""
    name = until(three.leader, "all members of the queue", 180, 0.5)
    clients = three.clients(name)
    ledger = LedgerWriter(three.site.ledger, "breaker")
    ledger.fault(number, f"{options.fault}-leader", "broker")
    at = time.time()
    with FAULTS[options.fault](three.nodes[name], options.seconds):
        broken = time.time()
    three.site.wait_broker(three.nodes[name])
    ledger.healed(number)
    ledger.close()
    took = time.time() - at
    print(
        f"{options.fault} {number + 1}: leader {name}, which served {clients}; {broken - at:.1f} s "
        f"to break it, {took:.1f} s until it served again",
        flush=True,
    )
    return at


def _report(three: Cluster, silences: list[float], began: float) -> int:
    lines = read(three.site.ledger)
    verdict = judge(lines)
    dead = three.ask(f"queues/%2F/{QUEUE}.dlq")
    letters = dead.get("messages", 0) if dead else 0
    print(f"messages       {len(verdict.acknowledged)} confirmed, {len(verdict.executed)} run")
    print(f"verdict        {verdict.counts()}, dead letters {letters}")
    print(f"duplicates     {dict(verdict.causes)}")
    print(f"latency        {spread(latencies(lines, began, time.time()))}")
    print(f"by worker      {by_worker(lines)}")
    good = not verdict.lost and not verdict.stranded and not verdict.unexpected and not letters
    return 0 if good and max(silences) < _SOON else 1


if __name__ == "__main__":
    sys.exit(main())
