"""What is linked to a call, or to a whole workflow."""

from __future__ import annotations

import pytest

from rmqwork import chord, group
from rmqwork._canvas.freeze import freeze
from rmqwork._workflows.document import detach
from tests.unit.canvas.frozen import task

pytestmark = pytest.mark.usefixtures("tasks")


def test_links_of_calls_and_of_the_whole(app):
    add, total, on_error = (task(app, name) for name in ("add", "total", "on_error"))
    call = add.s(1, 1).link(add.s(2) | add.s(3)).link_error(on_error.s())
    node = freeze(call.work)
    assert [len(one["chain"]) for one in node["link"]] == [2]
    assert node["link_error"][0]["into"] == "failed"
    node = freeze(chord([add.s(1, 1)], total.s()).link(add.s(1)).link_error(on_error.s()).work)
    assert [one["task"] for one in node["link"]] == ["shop.add"]
    assert [one["task"] for one in node["link_error"]] == ["shop.on_error"]
    node = freeze(group(add.s(1, 1)).link(total.s()).work)  # the list of their values
    assert (list(node), list(node["chain"][0])) == (["chain", "link"], ["group", "id"])


def test_a_call_with_links_is_published_with_its_workflow(app, port):
    add, on_error = task(app, "add"), task(app, "on_error")
    result = add.apply_async((1, 1), link=add.s(2), link_error=[on_error.s(), on_error.s()])
    add.options(link=add.s(5)).delay(1, 1)
    add.s(1, 1).link(add.s(7)).delay()
    documents = [detach(one.headers, one.body)[0] for one in port.sent]
    assert [len(one.link_error) for one in documents] == [2, 0, 0]
    assert [one.link[0]["body"] for one in documents] == [{"y": 2}, {"y": 5}, {"y": 7}]
    assert len({one.id for one in documents}) == 3
    assert [child.id for child in result.children] == [documents[0].link[0]["id"]]
