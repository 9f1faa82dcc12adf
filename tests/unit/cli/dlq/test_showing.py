"""One dead letter, for people."""

from __future__ import annotations

from rmqwork._cli.dlq.showing import story
from rmqwork._messages.dead_letter import DeadLetter, dead_letter
from rmqwork.types import Delivery


def letter(
    number: int = 1, *, body: bytes = b"{}", attempt: int = 1, **headers: object
) -> DeadLetter:
    told = {
        "rmqwork-error-reason": "failed",
        "rmqwork-error-type": "ValueError",
        "rmqwork-error-at": f"2030-01-01T00:00:{number:02}.000+00:00",
        "rmqwork-attempt": attempt,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    delivery = Delivery(
        None, number, "q.dlq", "", "q.dlq", False, body, told, f"id{number}", "shop.add",
        "application/json", None, None, None, None, None, None,
    )  # fmt: skip
    return dead_letter(delivery, "q")


def test_the_story_of_a_letter() -> None:
    told = story(
        letter(
            body=b'{"a":{"b":1}}',
            rmqwork_error_message="bad \x1b[31mwidth",
            rmqwork_error_traceback="Traceback:\n  line\x1b[2J\nValueError: bad",
            rmqwork_exchange="rmqwork.tasks",
            tenant="t\x07",
        )
    )
    assert "\x1b" not in told
    assert "\x07" not in told
    assert '  {\n    "a": {\n      "b": 1\n    }\n  }' in told
    assert "error      ValueError: bad \\x1b[31mwidth" in told
    assert "exchange 'rmqwork.tasks', routing key 'q.dlq'" in told
    assert "    line\\x1b[2J" in told
    assert "tenant            t\\x07" in told


def test_the_story_of_bytes_that_are_no_text() -> None:
    told = story(letter(body=b"\x00\xffABC" * 1000))
    assert "00000000  00 ff 41 42 43 00 ff 41 42 43 00 ff 41 42 43 00  ..ABC..ABC..ABC." in told
    assert "… 2952 bytes more" in told
    assert "  [[[[" in story(letter(body=b"[" * 50_000))
