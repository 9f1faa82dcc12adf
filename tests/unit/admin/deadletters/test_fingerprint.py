"""What of a traceback tells failures apart."""

from __future__ import annotations

from rmqwork._admin.deadletters.fingerprint import innermost, trail


def test_recursion_and_a_traceback_that_was_cut() -> None:
    frame = '  File "/app/a.py", line {}, in again\n    again()\n'
    deep = "".join(frame.format(line) for line in range(500))
    assert trail(deep, "") == trail("… " + deep[-5000:], "") == trail(frame.format(1), "")


def test_frames_of_grouped_exceptions_are_seen() -> None:
    told = '  | Traceback\n    |   File "/app/b.py", line 9, in deep\n    | ValueError: x\n'
    assert innermost(told) == "b.py:9 in deep"
    assert innermost("nothing") == ""
