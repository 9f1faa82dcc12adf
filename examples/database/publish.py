"""Create the table, and publish orders: ``python -m database.publish 20``."""

from __future__ import annotations

import sys

from database.app import StoreOrder, app, create_tables


def main() -> None:
    """Publish."""
    create_tables()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    app.publish_many(
        [StoreOrder(customer=f"customer {n % 7}", total=100 * n) for n in range(count)]
    )
    print(f"published {count} orders")


if __name__ == "__main__":
    main()
