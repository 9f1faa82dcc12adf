"""Dead letters as rows, groups and JSON."""

from __future__ import annotations

import json

from rmqwork._cli.dlq.letters import Collection, letter_to_json
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


def test_the_newest_are_kept_and_all_are_counted() -> None:
    found = Collection(limit=2)
    for number in range(5):
        found.add(letter(number))
    assert [row.id for row in found.newest_first("q.dlq")] == ["id4", "id3"]
    (group,) = found.groups.largest_first()
    assert group.key[1:5] == ("q", "shop.add", "failed", "ValueError")
    assert group.count == found.letters == 5
    assert group.first is not None
    assert group.last is not None
    assert (group.last - group.first).total_seconds() == 4


def test_the_newest_are_found_in_any_order() -> None:
    found = Collection(limit=2)
    for number in (3, 5, 1, 4):
        found.add(letter(number))
    found.add(letter(9, rmqwork_error_at=None))
    assert [row.id for row in found.newest_first("q.dlq")] == ["id5", "id4"]


def test_copies_with_one_id_and_attempt_count_once() -> None:
    found = Collection(limit=10)
    found.add(letter(1))
    found.add(letter(1))
    found.add(letter(1, attempt=2))
    assert found.letters == 2
    assert [(row.attempt, row.copies) for row in found.newest_first("q.dlq")] == [(2, 1), (1, 2)]


def test_the_largest_group_comes_first() -> None:
    found = Collection(limit=0)
    found.add(letter(1))
    for number in (2, 3):
        found.add(letter(number, rmqwork_error_type="KeyError"))
    assert [group.count for group in found.groups.largest_first()] == [2, 1]
    assert list(found.newest_first("q.dlq")) == []


def test_a_letter_as_json_has_its_body_byte_for_byte() -> None:
    values = letter_to_json(letter(body=b'{"a":  1}'))
    assert (values["body"], values["body_base64"]) == ('{"a":  1}', None)
    values = letter_to_json(letter(body=b"\xff\x00", odd=b"\xfe"))
    assert (values["body"], values["body_base64"]) == (None, "/wA=")
    assert values["headers"]["odd"] == "/g=="
    json.dumps(values)
