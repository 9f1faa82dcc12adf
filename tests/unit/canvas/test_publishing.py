"""What a workflow publishes first, and the results that it gives."""

from __future__ import annotations

import json

import pytest

from rmqwork import ConfigurationError, InvalidMessage, chain, group
from rmqwork._results.group import GroupResult
from tests.unit.canvas.frozen import task

pytestmark = pytest.mark.usefixtures("tasks")


def test_what_is_published_first_and_its_results(app, port):
    add, total = task(app, "add"), task(app, "total")
    result = (add.s(2, 2) | add.s(4) | add.s(8)).delay()
    assert [one.type for one in port.sent] == ["shop.add"]
    assert result.parent.parent.id == port.sent[0].message_id
    assert result.parent.parent.parent is None

    port.sent.clear()
    result = (group(add.s(n, n) for n in range(3)) | total.s()).apply_async(countdown=60)
    assert [one.type for one in port.sent] == ["rmqwork.join", *["shop.add"] * 3]
    assert all(one.due for one in port.sent[1:])
    assert isinstance(result.parent, GroupResult)
    assert [child.id for child in result.parent] == [one.message_id for one in port.sent[1:]]

    port.sent.clear()
    results = app.publish_many([add.s(1, 1), add.s(1, 1) | add.s(2), add.starmap([(1, 2)])])
    assert len(results) == len(port.sent) == 3
    assert results[1].parent.id == port.sent[1].message_id
    assert (group().delay().children, chain().delay().get()) == ((), None)
    assert add.s(3).delay(4).task == "shop.add"
    assert json.loads(port.sent[-1].body) == {"x": 4, "y": 3}


def test_children_of_a_chain_are_what_it_is_linked_to(app, port):
    add, total = task(app, "add"), task(app, "total")

    result = (add.s(1, 1) | add.s(2)).link(add.s(100)).link(add.s(200)).delay()

    assert [child.task for child in result.children] == ["shop.add", "shop.add"]
    workflow = str(port.sent[0].headers)
    assert all(child.id in workflow for child in result.children)
    assert result.parent.children == ()
    joined = group(add.s(n, n) for n in range(3)).link(total.s()).delay()
    assert len(joined.children) == 3  # its members
    with pytest.raises(ConfigurationError, match="link takes one signature"):
        add.s(1, 1).link([add.s(1)])


async def test_the_twins_for_asyncio(app, port):
    add = task(app, "add")
    await (add.s(2, 2) | add.s(4)).adelay()
    await add.s(2).adelay(3)
    await add.s(2).aapply_async(3, queue="high")
    await group(add.s(1, 1), add.s(2, 2)).aapply_async()
    await app.apublish_many([group(add.s(1, 1), add.s(2, 2))])
    assert len(port.sent) == 7
    assert port.sent[2].routing_key == "high"


def test_what_does_not_fit_is_an_invalid_message_before_anything_is_sent(app, port):
    add = task(app, "add")
    with pytest.raises(InvalidMessage, match=r"shop\.add: x: "):
        (add.s("x", 1) | add.s(2)).delay()
    with pytest.raises(InvalidMessage, match=r"shop\.add: x: "):
        add.starmap([(1, 2), ("x", 2)]).delay()
    assert port.sent == []
