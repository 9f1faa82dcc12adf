"""Publish images to be thumbnailed, and wait for the ledger: ``python -m thumbnails.publish 200``.

Workers are yours to start (see `thumbnails.app`); they must see the same files, so give them the
same THUMBNAILS_FOLDER (default: ``.rmqwork/thumbnails`` in the working directory).
SOURCE_HOST is the name by which they reach this process, which serves the flaky images.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from rmqwork._cli.demo.app import FOLDER_VARIABLE
from rmqwork._cli.demo.report import report, screen
from rmqwork._cli.demo.run import draw, play
from rmqwork._cli.demo.setup import Setup
from rmqwork._cli.demo.source import FlakySource


def main() -> int:
    """Publish, watch, and print the ledger; 1 if it does not balance."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    thumbnails = Path(os.environ.get(FOLDER_VARIABLE, ".rmqwork/thumbnails")).resolve()
    images = thumbnails / "images"
    images.mkdir(parents=True, exist_ok=True)
    here = screen()
    with FlakySource(images, os.environ.get("SOURCE_HOST", "localhost")) as source:
        url = os.environ.get("RMQWORK_BROKER", "amqp://guest:guest@localhost:5672/")
        setup = Setup(url, images, thumbnails, thumbnails, source.url)
        played = asyncio.run(play(setup, here, draw(setup, here, count), own_workers=False))
    return 0 if report(here, played) else 1


if __name__ == "__main__":
    sys.exit(main())
