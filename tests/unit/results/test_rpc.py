"""Results as replies."""

from __future__ import annotations

from rmqwork._results.rpc import reply_queue


def test_a_reply_queue_is_bounded_in_length_size_and_time():
    queue = reply_queue("shop", 10.0)
    assert queue.name.startswith("rmqwork.replies.shop.")
    assert queue.arguments["x-message-ttl"] == 10_000
    assert queue.arguments["x-expires"] == 60_000
    assert queue.arguments["x-overflow"] == "drop-head"
    assert queue.name != reply_queue("shop", 10.0).name
