"""What the tests of frozen workflows share."""

from __future__ import annotations

from rmqwork import TaskMessage


class Resize(TaskMessage, name="images.resize", queue="high", version=2):
    width: int


def task(app, name):
    return app.tasks[f"shop.{name}"]


def plain(node):
    """A node without its ids, its app and moments."""
    if isinstance(node, dict):
        return {k: plain(v) for k, v in node.items() if k not in ("id", "app_id", "expires_at")}
    return [plain(one) for one in node] if isinstance(node, list) else node
