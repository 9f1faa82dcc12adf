"""Commands and answers as messages."""

from __future__ import annotations

import json
import time

import pytest

from rmqwork._control.wire import (
    CALLS,
    STANDING,
    TOO_OLD,
    Answer,
    Command,
    NotACommand,
    answer_of,
    command_of,
)
from rmqwork.types import Delivery, Publication


def delivered(publication: Publication) -> Delivery:
    return Delivery(
        None,
        1,
        publication.routing_key,
        "",
        publication.routing_key,
        False,
        publication.body,
        {},
        publication.message_id,
        publication.type,
        None,
        None,
        publication.correlation_id,
        publication.reply_to,
        None,
        None,
        None,
    )


def test_a_command_comes_as_it_went():
    command = Command("scale", {"n": 2}, "shop", "shop-*", by="op@host", reply_to="answers")

    assert command_of(delivered(command.publication())) == command
    assert command.publication().routing_key == CALLS


@pytest.mark.parametrize("do", ["revoke", "pause", "resume", "mark"])
def test_what_lasts_goes_to_the_stream_that_is_read_from_its_beginning(do: str):
    assert Command(do).publication().routing_key == STANDING


def test_whom_a_command_is_for():
    assert Command("ping").is_for("shop", "w-1")
    assert Command("ping", app="shop", worker="w-*").is_for("shop", "w-1")
    assert not Command("ping", app="other").is_for("shop", "w-1")
    assert not Command("ping", worker="v-*").is_for("shop", "w-1")


def test_a_call_becomes_too_old():
    assert not Command("ping").too_old
    assert Command("ping", at=time.time() - TOO_OLD - 1).too_old


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b'"text"',
        b'{"do": 1, "what": {}, "at": 0}',
        b'{"do": "ping", "what": [], "at": 0}',
        b'{"do": "ping", "what": {}, "at": "soon"}',
        b'{"do": "ping", "what": {}}',
        b"[" * 100_000,
    ],
)
def test_a_foreign_message_is_no_command(body: bytes):
    publication = Publication("", CALLS, body, "id")
    with pytest.raises(NotACommand, match=r"rmqwork\.control\.calls"):
        command_of(delivered(publication))


def test_an_answer_comes_as_it_went():
    answer = Answer("w-1", "host", 7, "shop", {"up": 1.5}, "")
    command = Command("inspect", reply_to="answers")
    publication = answer.publication(command)

    assert answer_of(publication.body) == answer
    assert (publication.routing_key, publication.correlation_id) == ("answers", command.id)
    with pytest.raises(NotACommand):
        answer_of(json.dumps({"worker": "w"}).encode())
