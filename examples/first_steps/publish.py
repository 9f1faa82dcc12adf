"""Publish one `add`: ``python -m first_steps.publish 2 3``."""

from __future__ import annotations

import sys

from first_steps.app import add


def main() -> None:
    """Publish, and say what was published."""
    x, y = (int(text) for text in sys.argv[1:3]) if len(sys.argv) > 2 else (2, 3)
    result = add.delay(x, y)  # returns when the broker has confirmed the message
    print(f"published {result.task} {result.id}")


if __name__ == "__main__":
    main()
