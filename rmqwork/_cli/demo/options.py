"""``rmqwork demo``: a real load on real queues, with real workers, and a ledger at the end.

Everything is done as a team would do it: the tasks are in `rmqwork._cli.demo.app`, the workers are
processes of ``rmqwork worker``, and what the ledger says comes from what the tasks have written and
from the dead-letter queues themselves.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EXIT_LOST: Final = 1
"""A published message ended in no visible place, or the demo could not be played to its end."""
EXIT_CANNOT: Final = 2
"""Something is missing here: the message says what, and how to get it."""
EXIT_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of ``rmqwork demo``.

    Args:
        tasks: how many messages are published.
        keep: keep the broker, the queues and the files to look around, until Ctrl-C.
        folder: where the images, the thumbnails and the workers' logs go, and stay; None = a
            temporary folder, which is removed at the end.
    """

    tasks: int = 2000
    keep: bool = False
    folder: Path | None = None


def run(options: DemoOptions) -> int:
    """Play the demo; returns the exit code.

    Without Pillow it says so in one line and plays nothing.
    """
    if importlib.util.find_spec("PIL") is None:
        print(
            "rmqwork demo draws images and needs Pillow for it: pip install 'rmqwork[demo]'",
            file=sys.stderr,
        )
        return EXIT_CANNOT
    from rmqwork._cli.demo.play import perform

    return perform(options)
