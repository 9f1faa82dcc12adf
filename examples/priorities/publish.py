"""Publish many slow tasks, then a quick one: ``python -m priorities.publish``.

The receipt is sent at once, while the reports are waiting.
"""

from __future__ import annotations

import sys

from priorities.app import BuildReport, SendReceipt, app, send_receipt


def main() -> None:
    """Publish 50 reports (or as many as the argument says) and one receipt."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    app.publish_many([BuildReport(day=f"day {number}") for number in range(count)])
    send_receipt.delay(SendReceipt(order=1, email="customer@example.org"))
    print(f"published {count} reports and 1 receipt")


if __name__ == "__main__":
    main()
