"""Calls of a web API, 500 at once in one process, on asyncio.

In the folder `examples/`:

    python -m async_fetch.server 8000                                          # a slow API to call
    rmqwork worker async_fetch.app:app -Q fetch --async-concurrency 500        # the worker
    python -m async_fetch.publish http://127.0.0.1:8000 2000                   # the work

Each answer of that server takes 0.2 s. 2,000 of them, one after the other, would take 400 s.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
from pydantic import AnyHttpUrl

from rmqwork import App, Context, Queue, Reject, Retry, TaskMessage

logging.getLogger("httpx").setLevel(logging.WARNING)  # else it logs a line for each request

app = App("async_fetch", queues=[Queue("fetch")], default_queue="fetch")


class FetchItem(TaskMessage, name="items.fetch", queue="fetch"):
    """Fetch one item of the API."""

    url: AnyHttpUrl


@app.lifespan
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """One client for all tasks of an executor process.

    It keeps no connections: httpx looks at all that it keeps, for each request, and with hundreds
    of them this takes longer than to connect anew (38 s instead of 3 s for 1,500 requests).
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as opened:
        yield opened


@app.task(retry=Retry(max_attempts=4, on=httpx.TransportError))
async def fetch_item(message: FetchItem, ctx: Context[httpx.AsyncClient]) -> int:
    """Fetch it, and return its price; a lost connection or a timeout is tried again."""
    answer = await ctx.state.get(str(message.url))
    if answer.is_server_error:
        ctx.retry(countdown=1)
    if answer.is_client_error:
        raise Reject(f"{message.url}: {answer.status_code}")
    return int(answer.json()["price"])
