"""Which headers travel on when a message is published again."""

from __future__ import annotations

from rmqwork._messages import headers
from rmqwork._topology.delays import enter


def test_what_would_send_a_message_astray_stays_behind():
    arrived = {
        "x-death": [{"count": 1}],
        "x-delivery-count": 3,
        "x-anything": 1,
        "CC": ["other"],
        "BCC": ["other"],
        "rmqwork-due": "x",
        **enter(12345.6)[1],
    }

    assert headers.may_travel(arrived) == {}


def test_all_else_travels_also_what_only_looks_alike():
    arrived = {
        "traceparent": "00-ab",
        "cc": "lower case routes nothing",
        "mine": [1, {"a": None}],
        "X-Upper": 1,
        "rmqwork-attempt": 3,
        "rmqwork-d": 1,
        "rmqwork-delay": 2,
        "rmqwork-d30": True,
    }

    assert headers.may_travel(arrived) == arrived


def test_what_arrived_is_not_changed():
    arrived = {"x-death": 1, "kept": 2}

    headers.may_travel(arrived)

    assert arrived == {"x-death": 1, "kept": 2}


def test_names_are_few_and_ours():
    ours = {value for name, value in vars(headers).items() if name.isupper() and type(value) is str}

    assert len(ours) >= 14
    assert all(name.startswith("rmqwork-") for name in ours)
    assert set(headers.ERROR_HEADERS) <= ours
    assert headers.may_travel(dict.fromkeys(ours, 1)) == dict.fromkeys(ours, 1)
