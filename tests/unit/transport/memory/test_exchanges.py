"""Which queues an exchange's bindings lead to."""

from __future__ import annotations

import pytest

from rmqwork._transport.memory.exchanges import headers_match, topic_matches


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("#", "", True),
        ("*", "", False),
        ("*", "a", True),
        ("", "", True),
        ("a.#.b", "a.b", True),
        ("a.#.b", "a.x.y.b", True),
        ("a.#.b", "a.x.y", False),
        ("#.#", "", True),
        ("a.*", "a.", True),
        ("*.*", "a", False),
    ],
)
def test_topic_patterns(pattern: str, key: str, fits: bool):
    assert topic_matches(pattern, key) is fits


def test_a_header_of_another_type_does_not_match():
    assert headers_match((("x-match", "all"), ("flag", True)), {"flag": True})
    assert not headers_match((("x-match", "all"), ("flag", True)), {"flag": 1})
    assert headers_match((("x-match", "all"), ("there", None)), {"there": "anything"})
