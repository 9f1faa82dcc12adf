"""Publish fetches: ``python -m async_fetch.publish http://127.0.0.1:8000 2000``."""

from __future__ import annotations

import asyncio
import sys

from async_fetch.app import FetchItem, app
from pydantic import AnyHttpUrl


async def main(url: str, count: int) -> None:
    """Publish, from an event loop, with one confirm window for all."""
    urls = (AnyHttpUrl(f"{url}/items/{number}") for number in range(count))
    await app.apublish_many([FetchItem(url=url) for url in urls])
    print(f"published {count} fetches")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2000))
