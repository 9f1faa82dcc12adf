"""The workflow document: in a header, in an envelope, edited by people, broken."""

from __future__ import annotations

import json

import pytest

from rmqwork._messages import headers as names
from rmqwork._workflows.document import (
    ENVELOPE,
    HEADER_MOST,
    Workflow,
    attach,
    detach,
    read,
    workflow_id,
)
from rmqwork._workflows.splice import frames_of, items_of
from rmqwork.errors import InvalidMessage
from tests.unit.workflows.nodes import task

FULL = Workflow("wf", frames_of([task("b"), task("c")]), (task("l"),), (task("e"),), 12345)


@pytest.mark.parametrize("workflow", [FULL, Workflow("wf"), Workflow("wf", '{"a":[1,"]}"]}')])
def test_a_document_is_read_as_it_was_written(workflow):
    assert read(workflow.dump()) == workflow
    json.loads(workflow.dump())


def test_a_document_that_somebody_has_formatted_is_the_same():
    pretty = json.dumps(json.loads(FULL.dump()), indent=2)
    assert read(pretty) == FULL


def test_a_small_workflow_travels_in_a_header_beside_an_untouched_body():
    body, content_type, headers = attach(FULL, b'{"x": 1}', {"mine": 1})
    assert (body, content_type, headers["mine"]) == (b'{"x": 1}', "application/json", 1)
    assert detach(headers, body) == (FULL, b'{"x": 1}')
    assert workflow_id(headers) == "wf"


@pytest.mark.parametrize("body", [b'{"x": "}, \xc3\xa4"}', b"{}", b'[1,{"workflow":2}]'])
def test_a_large_one_travels_in_an_envelope_and_the_body_comes_out_byte_by_byte(body):
    large = Workflow("wf", frames_of(task() for _ in range(100)))
    envelope, content_type, headers = attach(large, body, {})
    assert len(large.dump()) > HEADER_MOST
    assert content_type == ENVELOPE
    assert set(json.loads(envelope)) == {"body", "workflow"}
    assert headers == {names.WORKFLOW: "wf"}
    assert detach(headers, envelope) == (large, body)
    assert workflow_id(headers) == "wf"


def test_an_envelope_that_somebody_has_formatted_is_the_same():
    large = Workflow("wf", frames_of(task(f"{n}") for n in range(100)))
    envelope, _, headers = attach(large, b'{"x":1}', {})
    edited = json.dumps(json.loads(envelope), indent=1, sort_keys=True).encode()
    found = detach(headers, edited)
    assert found is not None
    assert (items_of(found[0].then), found[1]) == (items_of(large.then), b'{"x":1}')


def test_a_message_of_no_workflow_has_none():
    assert detach({}, b"{}") is None
    assert workflow_id({}) is None


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (7, b"{}"),
        ("{", b"{}"),
        ('{"then":[]}', b"{}"),
        ('{"id":"w","then":{}}', b"{}"),
        ('{"id":"w","link":7,"then":[]}', b"{}"),
        ("wf", b"not JSON"),
        ("wf", b"\xff"),
        ("wf", b'{"body":{}}'),
        ("wf", b"[]"),
    ],
)
def test_what_cannot_be_read_says_where(header, body):
    with pytest.raises(InvalidMessage, match="rmqwork-workflow"):
        detach({names.WORKFLOW: header}, body)


def test_what_is_lacking_is_named():
    with pytest.raises(InvalidMessage, match="it lacks 'workflow'"):
        detach({names.WORKFLOW: "wf"}, b'{"body":{}}')
