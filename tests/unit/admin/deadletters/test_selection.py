"""Which letters are meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rmqwork._admin.deadletters.editing import text_of
from rmqwork._admin.deadletters.groups import group_of
from rmqwork._admin.deadletters.selection import Selection, matching, point_in_time
from rmqwork._messages.compression import compress
from rmqwork._workflows.document import ENVELOPE, Workflow
from rmqwork.errors import ConfigurationError
from tests.unit.admin.deadletters.dead_letters import letter

NOW = datetime(2030, 1, 2, tzinfo=UTC)
FAILED_AT = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("chosen", "meant"),
    [
        ({}, True),
        ({"ids": ["id1"]}, True),
        ({"ids": ["id2"]}, False),
        ({"tasks": ["shop.*"]}, True),
        ({"tasks": ["mail.*", "shop.add"]}, True),
        ({"tasks": ["add"]}, False),
        ({"errors": ["ValueError"]}, True),
        ({"errors": ["*Error"], "tasks": ["mail"]}, False),
        ({"reasons": ["rejected"]}, False),
        ({"since": FAILED_AT}, True),
        ({"until": FAILED_AT}, False),
        ({"since": FAILED_AT - timedelta(1), "until": FAILED_AT + timedelta(1)}, True),
        ({"since": FAILED_AT + timedelta(seconds=1)}, False),
    ],
)
def test_each_option_narrows(chosen: dict[str, Any], meant: bool) -> None:
    assert Selection(**chosen).takes(letter()) is meant


def test_an_error_is_known_with_and_without_its_module() -> None:
    found = letter(rmqwork_error_type="shop.errors.Busy")
    assert Selection(errors=["Busy"]).takes(found)
    assert Selection(errors=["shop.errors.*"]).takes(found)
    assert not Selection(errors=["Bus"]).takes(found)


def test_a_letter_without_a_time_fits_no_time() -> None:
    found = letter(rmqwork_error_at=None)
    assert not Selection(since=FAILED_AT).takes(found)
    assert not Selection(until=NOW).takes(found)


def test_a_group_is_found_by_its_id() -> None:
    assert Selection(groups=[group_of(letter()).id]).takes(letter())
    assert not Selection(groups=["00000000"]).takes(letter())


BODY = b'{"n": 7, "ok": true, "a.b": "x", "who": {"id": "7", "tags": ["p", {"q": null}]}, "f": 1.5}'


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("n=7", True),
        ("n=7.0", True),
        ("n=8", False),
        ("n=true", False),
        ("ok=true", True),
        ("ok=1", False),
        ("ok=True", False),
        ("f=1.5", True),
        ("who.id=7", True),
        ("who.tags.0=p", True),
        ("who.tags.1.q=null", True),
        ("who.tags.2=p", False),
        ("who.tags.-1=p", False),
        ("who.nobody=null", False),
        ("a.b=x", True),
        ('who.tags=["p", {"q": null}]', True),
        ("n.x=7", False),
    ],
)
def test_fields_of_the_body(wanted: str, meant: bool) -> None:
    assert Selection(match=matching([wanted])).takes(letter(BODY)) is meant


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 100_000, b"7", b"[1]"])
def test_other_bodies_have_no_fields(body: bytes) -> None:
    assert not Selection(match={"n": "7"}).takes(letter(body))


def test_the_fields_of_a_body_with_its_workflow_beside_it() -> None:
    body = b'{"body":{"n":7},"workflow":%s}' % Workflow("w").dump().encode()
    found = letter(body, rmqwork_workflow="w")
    found.properties["content_type"] = ENVELOPE  # type: ignore[index]
    assert Selection(match={"n": "7"}).takes(found)


def test_the_fields_of_a_compressed_body() -> None:
    found = letter(compress(b'{"n":7}'))
    found.properties["content_encoding"] = "zstd"  # type: ignore[index]
    assert Selection(match={"n": "7"}).takes(found)
    assert '"n": 7' in text_of(found)


@pytest.mark.parametrize("given", [["n"], ["=7"], ["n=1", "n=2"]])
def test_a_wrong_match_is_refused(given: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="--match"):
        matching(given)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("90s", NOW - timedelta(seconds=90)),
        ("1.5d ago", NOW - timedelta(days=1.5)),
        ("2030-01-01", FAILED_AT),
        ("2030-01-01T02:00+02:00", FAILED_AT),
    ],
)
def test_times(text: str, meant: datetime) -> None:
    assert point_in_time(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "yesterday", "5", "2030-13-01", "99999999999w"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no time"):
        point_in_time(text, NOW)
