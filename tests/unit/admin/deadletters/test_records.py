"""Letters as lines of JSON, and back."""

from __future__ import annotations

import json

import pytest

from rmqwork._admin.deadletters.records import from_line, to_line
from rmqwork.errors import ConfigurationError
from tests.unit.admin.deadletters.dead_letters import letter

ODD = {
    "text": "ü\u2028\x1b",
    "bytes": b"\xff\x00",
    "table": {"base64": "no", "deep": [1, -(2**40), 2.5, True, None, b"\xfe"]},
    "x-death": [{"queue": "q", "reason": "expired", "count": 1}],
}


@pytest.mark.parametrize(
    "body", [b"{}", b"", b'{"a":  "\\u00fc"}\r\n', b"\xff\x00", "ü\x1b".encode()]
)
def test_a_line_gives_the_same_letter(body: bytes) -> None:
    found = letter(body, **ODD)
    line = to_line(found)
    assert line.isascii()
    assert line.isprintable()
    assert from_line(line) == found


def test_what_the_broker_counts_stays_with_it() -> None:
    assert "x-delivery-count" not in from_line(to_line(letter(x_delivery_count=3))).headers


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", '"format"'),
        ('{"format": "rmqwork.dead-letter.v2"}', '"format"'),
        ({"dead_letter_queue": None}, "dead_letter_queue"),
        ({"headers": 7}, "headers"),
        ({"headers": {"a": {"b": 1}}}, "neither"),
        ({"headers": {"a": {"base64": "?"}}}, "no base64"),
        ({"body": None}, "no body"),
        ({"body": None, "body_base64": "%"}, "no base64"),
        ({"properties": {"priority": "high"}}, "priority is no number"),
        ({"task": 7}, "task is no text"),
    ],
)
def test_what_is_no_letter_is_refused(line: str | dict[str, object], said: str) -> None:
    if isinstance(line, dict):
        line = json.dumps(json.loads(to_line(letter())) | line)
    with pytest.raises(ConfigurationError, match=said):
        from_line(line)
