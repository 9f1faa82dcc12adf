"""First steps: one task, one queue.

In the folder `examples/`, with a broker at RMQWORK_BROKER (default: localhost):

    rmqwork worker first_steps.app:app        # in one terminal
    python -m first_steps.publish 2 3         # in another
"""

from __future__ import annotations

from rmqwork import App, Queue

app = App("first_steps", queues=[Queue("first_steps")], default_queue="first_steps")


@app.task
def add(x: int, y: int) -> int:
    """Add two numbers; the worker's log says that it ran, and this prints the sum."""
    print(f"{x} + {y} = {x + y}", flush=True)
    return x + y
