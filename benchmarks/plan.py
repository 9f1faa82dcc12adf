"""What is measured: the contenders, the workloads, and how large each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contender:
    """One of those who run.

    Args:
        name: for tables.
        module: of its script in `benchmarks.contenders`; None = the C client.
        queue: by which its consumers are found.
        flight: its ways to publish in flight.
        loaded: messages a second for the latency under load, about half of what it can do.
        drains: so many messages are drained (times the scale).
        task: kinds of tasks that are called otherwise here.
        environment: what its worker wants for a workload.
    """

    name: str
    module: str | None
    queue: str = "bench"
    flight: tuple[str, ...] = ()
    loaded: int = 0
    drains: int = 6_000
    task: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def own(self) -> bool:
        """Whether it runs in the environment of rmqwork."""
        return self.module == "rmqwork_"


RMQWORK = Contender(
    "rmqwork",
    "rmqwork_",
    flight=("many", "gather", "threads"),
    loaded=3000,
    drains=40_000,
)
RMQWORK_ASYNC = Contender(
    "rmqwork asyncio",
    "rmqwork_",
    drains=40_000,
    loaded=3000,
    task={"noop": "anoop", "sleep": "asleep"},
)
CELERY = Contender(
    "Celery",
    "celery_",
    flight=("threads",),
    loaded=300,
    drains=4_000,
    environment={
        "sleep": {"BENCH_POOL": "threads"},
        "idle": {"BENCH_POOL": "slots"},
    },
)
DRAMATIQ = Contender("Dramatiq", "dramatiq_", flight=("threads",), loaded=500, drains=10_000)
TASKIQ = Contender("Taskiq", "taskiq_", flight=("gather",), loaded=1000, drains=8_000)
FASTSTREAM = Contender(
    "FastStream",
    "faststream_",
    queue="bench.noop",
    flight=("gather",),
    loaded=1000,
    drains=8_000,
    environment={"sleep": {"BENCH_PREFETCH": "100"}},
)
PIKA = Contender("pika", "pika_", flight=("threads",), loaded=500, drains=20_000)
AIO_PIKA = Contender("aio-pika", "aio_pika_", flight=("gather",), loaded=1000, drains=10_000)
NATIVE = Contender("C", None, flight=("many", "threads"), drains=40_000)

CONTENDERS = (
    RMQWORK,
    RMQWORK_ASYNC,
    CELERY,
    DRAMATIQ,
    TASKIQ,
    FASTSTREAM,
    PIKA,
    AIO_PIKA,
    NATIVE,
)
TASK_QUEUES = (RMQWORK, CELERY, DRAMATIQ, TASKIQ, FASTSTREAM)


@dataclass(frozen=True)
class Workload:
    """One thing that is measured.

    Args:
        name: for the command line and the JSON file.
        title: for tables.
        unit: of its main figure.
        kind: how it runs, a function of `benchmarks.runs`.
        contenders: who runs it.
        options: of this kind.
        more: whether more is better.
        key: the main figure among those that the run gives.
    """

    name: str
    title: str
    unit: str
    kind: str
    contenders: tuple[Contender, ...]
    options: Mapping[str, int | str] = field(default_factory=dict)
    more: bool = True
    key: str = "rate"


_ALL = tuple(one for one in CONTENDERS if one is not RMQWORK_ASYNC)
_WITH_ASYNC = (RMQWORK, RMQWORK_ASYNC, *TASK_QUEUES[1:])
_OURS = (RMQWORK,)

PEERS = (
    Workload("each", "publish, one after another", "1/s", "publish", _ALL, {"mode": "each"}),
    Workload(
        "flight", "publish in flight, each its best way", "1/s", "publish", _ALL, {"mode": "best"}
    ),
    Workload(
        "gather",
        "publish in flight, asyncio gather",
        "1/s",
        "publish",
        (RMQWORK, TASKIQ, FASTSTREAM, AIO_PIKA),
        {"mode": "gather"},
    ),
    Workload(
        "threads",
        "publish, 16 threads",
        "1/s",
        "publish",
        (RMQWORK, CELERY, DRAMATIQ, PIKA, NATIVE),
        {"mode": "threads"},
    ),
    Workload("drain", "drain of no-ops, 1 process", "1/s", "drain", CONTENDERS),
    Workload(
        "drain2", "drain of no-ops, 2 processes", "1/s", "drain", _WITH_ASYNC, {"processes": 2}
    ),
    Workload(
        "latency",
        "latency at 200/s",
        "ms",
        "latency",
        (RMQWORK, RMQWORK_ASYNC, *TASK_QUEUES[1:], PIKA, AIO_PIKA),
        {"rate": 200},
        more=False,
        key="p50",
    ),
    Workload(
        "loaded",
        "latency under load",
        "ms",
        "latency",
        (RMQWORK, RMQWORK_ASYNC, *TASK_QUEUES[1:]),
        more=False,
        key="p50",
    ),
    Workload(
        "cpu",
        "20 ms of CPU × 400 on 2 processes, wall / bare processes",
        "×",
        "cpu",
        TASK_QUEUES,
        more=False,
        key="ratio",
    ),
    Workload(
        "sleep",
        "50 ms of sleep × 2,000 at concurrency 100, wall / ideal",
        "×",
        "sleep",
        _WITH_ASYNC,
        more=False,
        key="ratio",
    ),
    Workload(
        "retry",
        "retry storm: each fails once, 10 ms backoff",
        "1/s",
        "drain",
        TASK_QUEUES,
        {"task": "fail", "share": 4},
    ),
    Workload("start", "start to first task", "s", "start", TASK_QUEUES, more=False, key="seconds"),
    Workload(
        "idle",
        "idle, 4 at once",
        "MB",
        "idle",
        TASK_QUEUES,
        {"processes": 1},
        more=False,
        key="pss",
    ),
)
OWN = (
    *(
        Workload(
            f"idle{n}", f"idle, {n} executors", "MB", "idle", _OURS, {"processes": n}, False, "pss"
        )
        for n in (2, 3)
    ),
    *(
        Workload(
            f"{what}-{size}B",
            f"{what}, {size:,} bytes",
            "1/s",
            kind,
            _OURS,
            {"size": size, "mode": "best"},
        )
        for what, kind in (("publish", "publish"), ("drain", "drain"))
        for size in (100, 1_000, 10_000, 1_000_000)
    ),
    *(
        Workload(
            f"queues-{n}",
            f"drain of {n} queues by one worker",
            "1/s",
            "drain",
            _OURS,
            {"queues": n},
        )
        for n in (1, 4, 16)
    ),
)
DEPTHS = tuple(
    Workload(
        f"depth-{depth}",
        f"with {depth:,} waiting",
        "1/s",
        "depth",
        (RMQWORK, NATIVE),
        {"depth": depth},
    )
    for depth in (1_000, 10_000, 100_000, 1_000_000)
) + tuple(
    Workload(
        f"delayed-{depth}", f"with {depth:,} delayed", "1/s", "delayed", _OURS, {"depth": depth}
    )
    for depth in (1_000, 100_000)
)
DEFAULTS = tuple(
    Workload(
        f"default-{one.name}",
        f"{one.title}; defaults",
        one.unit,
        one.kind,
        tuple(c for c in one.contenders if c is not NATIVE),
        {**one.options, "settings": "defaults"},
    )
    for one in PEERS
    if one.name in ("each", "flight", "drain")
)
WORKLOADS = (*PEERS, *OWN, *DEPTHS, *DEFAULTS)
