"""Tasks that start processes and threads of their own.

Executor processes are no daemons, so a task may use `multiprocessing`, pools and subprocesses.

In the folder `examples/`:

    rmqwork worker processes.app:app -Q heavy -c 2
    python -m processes.publish
"""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor

from pydantic import Field
from tqdm import tqdm

from rmqwork import App, Context, Queue, TaskMessage

app = App("processes", queues=[Queue("heavy")], default_queue="heavy")


class CountPrimes(TaskMessage, name="numbers.count_primes", queue="heavy"):
    """Count the primes below a number, on several processes."""

    below: int = Field(gt=1, le=5_000_000)
    processes: int = Field(default=2, gt=0, le=16)


class HashFiles(TaskMessage, name="files.hash", queue="heavy"):
    """Hash some texts, on several threads."""

    texts: list[str]
    threads: int = Field(default=4, gt=0, le=32)


def primes_between(start: int, stop: int) -> int:
    """How many primes there are from ``start`` to ``stop`` - 1."""
    return sum(
        number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))
        for number in range(start, stop)
    )


@app.task
def count_primes(message: CountPrimes) -> int:
    """A pool in a task. "spawn", because this process has threads, and a fork copies only one."""
    step = -(-message.below // (message.processes * 4))
    ranges = [(n, min(n + step, message.below)) for n in range(0, message.below, step)]
    with multiprocessing.get_context("spawn").Pool(message.processes) as pool:
        count = sum(pool.starmap(primes_between, ranges))
    print(f"{count} primes below {message.below}", flush=True)
    return count


@app.task
def hash_files(message: HashFiles, ctx: Context) -> list[str]:
    """Threads in a task, and a bar that shows how far they are."""

    def digest(text: str) -> str:
        time.sleep(0.01)
        return hashlib.sha256(text.encode()).hexdigest()

    digests = []
    with ThreadPoolExecutor(message.threads) as pool:
        for value in tqdm(pool.map(digest, message.texts), total=len(message.texts), desc="hash"):
            digests.append(value)
            ctx.progress(len(digests), len(message.texts))
    print(f"{len(digests)} texts hashed", flush=True)
    return digests
