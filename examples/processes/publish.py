"""Publish one task of each kind: ``python -m processes.publish``."""

from __future__ import annotations

from processes.app import CountPrimes, HashFiles, app


def main() -> None:
    """Publish."""
    texts = [f"text {number}" for number in range(50)]
    app.publish_many([CountPrimes(below=50_000), HashFiles(texts=texts)])
    print("published 2 tasks")


if __name__ == "__main__":
    main()
