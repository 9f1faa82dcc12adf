"""Signatures, chains, groups and chords: what fits, and what is refused when it is built."""

from __future__ import annotations

import re

import pytest

from rmqwork import (
    ConfigurationError,
    Context,
    FailedTask,
    Immutable,
    InvalidMessage,
    Partial,
    Signature,
    TaskMessage,
    TaskSet,
    chain,
    chord,
    group,
)
from rmqwork._canvas.signature import GroupSignature
from rmqwork._canvas.spec import Chain, Group


class Resize(TaskMessage, name="images.resize"):
    width: int


class Store(TaskMessage, name="images.store"):
    key: str


tasks = TaskSet("shop")


@tasks.task
def add(x: int, y: int) -> int:
    return x + y


@tasks.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@tasks.task
def say(ctx: Context, text: str, *, loud: bool = False) -> None: ...


@tasks.task
def clean() -> None: ...


@tasks.task
def rest(seconds: float = 1.0) -> None: ...


@tasks.task
def anything(what: object) -> object:
    return what


@tasks.task
def resize(message: Resize) -> Store:
    return Store(key=str(message.width))


@tasks.task
def store(message: Store) -> bool:
    return True


@tasks.task
def on_error(failed: FailedTask) -> None: ...


def test_what_a_call_leaves_open_makes_its_kind():
    assert type(add.s(2, 2)) is Signature
    assert type(add.s(2, y=2)) is Signature
    assert type(add.s(2)) is Partial
    assert type(add.s(y=2)) is Partial
    assert type(say.s(loud=True)) is Partial
    assert type(resize.s()) is Partial
    assert type(resize.s(Resize(width=1))) is Signature
    assert type(rest.s()) is Signature  # its default makes it whole
    assert type(rest.partial()) is Partial
    assert type(add.si(2, 2)) is Immutable


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: add.s(), "x, y: Field required"),
        (lambda: add.s(1, 2, 3), "takes 2 positional arguments, 3 were given"),
        (lambda: add.s(1, z=3), "z: there is no such argument; there are x, y"),
        (lambda: add.s(1, x=3), "x is given twice"),
        (lambda: add.si(1), "y: Field required"),
        (lambda: add.partial(1, 2), "takes 1 positional arguments after the value before it"),
        (lambda: say.s("x", True), "takes 1 positional arguments, 2 were given"),
        (lambda: clean.partial(), "no positional argument that could take a value"),
        (lambda: resize.s(width=3), "takes one Resize and nothing else"),
        (lambda: add.starmap([(1, 2), (3,)]), "y: Field required"),
    ],
)
def test_arguments_that_fit_neither_way_are_refused_with_their_names(call, says):
    with pytest.raises(InvalidMessage, match=says):
        call()


def test_pipes_and_chain_make_one_flat_chain():
    whole = add.s(2, 2) | add.s(4) | clean.si() | say.si("x")
    assert type(whole) is Signature
    assert isinstance(whole.work, Chain)
    assert len(whole.work.steps) == 4
    assert chain(add.s(2, 2), add.s(4), clean.si(), say.si("x")) == whole
    assert chain(step for step in (add.s(2, 2), add.s(4) | clean.si(), say.si("x"))) == whole
    assert type(add.s(4) | add.s(8)) is Partial
    assert type(add.si(1, 2) | add.s(8)) is Immutable
    # a call whose defaults make it whole takes the value all the same, as in Celery
    assert (add.s(2, 2) | rest.s()).work.steps[1].is_open


def test_empty_chains_pass_their_value_on():
    assert (chain() | add.s(2, 2) | chain()).work == add.s(2, 2).work
    assert chain(add.s(2, 2)).work == add.s(2, 2).work
    assert chain([]).work == Chain(())


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: add.s(1, 2) | say.s(), "say cannot take what shop.add gives: integer, where it t"),
        (lambda: say.s("x") | add.s(1), "shop.add cannot take what shop.say gives: null, where"),
        (lambda: add.s(1, 2) | add.s(1, 2), "takes 1 positional arguments after the value before"),
        (lambda: add.s(1, 2) | add.s(x=1, y=2), "x is given twice: the value before it becomes"),
        (lambda: add.s(1, 2) | clean.s(), "use si()"),
        (lambda: add.s(1, 2) | resize.s(), "integer, where it takes object"),
        (lambda: resize.s(Resize(width=1)) | resize.s(), "an object without width"),
        (lambda: group(say.s("x")) | total.s(), "each of them: null, where it takes integer"),
        (lambda: group(add.s(1, 2)) | add.s(1), "the group before it gives: array, where it takes"),
        (lambda: add.s(1, 2) | group(add.s(1), say.s()), "shop.say cannot take what shop.add"),
        (lambda: chord([say.s("x")], total.s()), "each of them: null"),
        (lambda: total.map([[1]]) | add.s(1), "array, where it takes integer"),
        (lambda: add.s(1, 2).link(say.s()), "shop.say cannot take what shop.add gives"),
        (lambda: add.s(1, 2).link_error(total.s()), "cannot take the FailedTask"),
        (lambda: add.s(1, 2).set(link=3), "link is a signature or a list of them, not 3"),
        (lambda: add.apply_async((1, 2), link=[clean]), "link is a signature (task.s(), task.si("),
        (lambda: chain(add.s(1, 2), add), "chain takes signatures (task.s(…), task.si(…)), not <"),
        (lambda: add.chunks([(1, 2)], 0), "chunks of 0 values"),
    ],
)
def test_what_cannot_fit_is_refused_when_it_is_built(build, says, app):
    app.add(tasks)
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        build()


def test_what_may_fit_is_accepted():
    assert resize.s(Resize(width=1)) | store.s()
    assert add.s(1, 2) | anything.s() | add.s(1)
    assert group(add.s(1, 2), add.s(3, 4)) | total.s()
    assert add.s(1, 2) | group(add.s(1), add.si(1, 2), clean.si()) | anything.s()
    assert group() | total.s()
    assert add.starmap([(1, 2)]) | total.s()
    assert add.s(1, 2).link(add.s(3)).link_error(on_error.s()).link_error(clean.si())
    with pytest.raises(TypeError):
        add.s(1, 2) | add


def test_groups_and_chords():
    several = group(add.s(n, n) for n in range(3))
    assert type(several) is GroupSignature
    assert len(several) == 3
    assert several == group(add.s(0, 0), add.s(1, 1), add.s(2, 2))
    whole = several | total.s()
    assert chord((add.s(n, n) for n in range(3)), total.s()) == whole
    assert chord(several, total.s()) == whole
    assert chord(several).header == several
    assert type(group(add.s(1), add.s(2))) is Partial
    assert isinstance(group(clean.si(), clean.si()), Immutable)
    skewed = several.skew(start=1, stop=3)
    assert [member.options["countdown"] for member in skewed.work.members] == [1, 2, 1]
    chunks = add.chunks(((n, n) for n in range(5)), 2)
    assert [len(member.items) for member in chunks.work.members] == [2, 2, 1]


def test_signatures_never_change():
    first = add.s(2, 2)
    second = first.set(priority=3).set(queue="high").link(add.s(1)).link(clean.si())
    assert first.options == {}
    assert (second.options["priority"], second.options["queue"]) == (3, "high")
    assert len(second.options["link"]) == 2
    assert (second.name, second.args, second.immutable) == ("shop.add", (2, 2), False)
    with pytest.raises(ConfigurationError, match="is not one call of a task"):
        _ = (add.s(2, 2) | add.s(4)).name
    assert repr(add.s(2, 2) | group(add.s(1), add.s(2))) == (
        "<Signature shop.add | group(shop.add, shop.add)>"
    )


def test_nesting_has_no_limit_that_one_meets():
    work = add.s(1, 1)
    for _ in range(99):
        work = group(work, add.s(1, 1))
    assert isinstance(work.work, Group)
    with pytest.raises(ConfigurationError, match="more than 100 levels inside each other"):
        group(group(work))
    assert len(chain([add.s(1, 1), *(add.s(1) for _ in range(2000))]).work.steps) == 2001
