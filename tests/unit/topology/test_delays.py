"""The ladder: any delay is a sum of levels, never less than asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmqwork._topology.delays import (
    DUE_EXCHANGE,
    DUE_HEADER,
    LEVELS,
    MAX_DELAY,
    OWN_HEADERS,
    UNIT,
    enter,
    entry,
    first_publish_declarations,
    ladder_declarations,
    level_name,
    units_of,
)
from rmqwork._topology.topology import RETURN_EXCHANGE, Bind, DeclareExchange, DeclareQueue

seconds = st.floats(min_value=0, max_value=MAX_DELAY, allow_nan=False)


def levels_of(headers: dict[str, bool]) -> list[int]:
    return sorted(int(name.removeprefix("rmqwork-d")) for name in headers)


@given(seconds)
def test_the_levels_sum_up_to_the_delay_and_little_more(delay: float):
    _, headers = enter(delay)
    levels = levels_of(headers)

    total = sum(UNIT * 2**level for level in levels)

    assert len(levels) == len(set(levels)) >= 1
    assert min(levels) >= 0
    assert max(levels) < LEVELS
    assert total >= delay * (1 - 1e-12)
    assert total <= delay + UNIT + min(max(UNIT, delay / 1000), 1.0)


@given(seconds)
def test_a_message_enters_at_its_highest_level(delay: float):
    name, headers = enter(delay)

    assert name == level_name(max(levels_of(headers)))
    assert set(headers) <= OWN_HEADERS
    assert set(headers.values()) == {True}


@given(st.floats(min_value=1, max_value=MAX_DELAY - 1, allow_nan=False))
def test_rounding_saves_levels(delay: float):
    exact = -int(-delay / UNIT // 1)

    assert units_of(delay).bit_count() <= exact.bit_count()


def test_long_delays_take_few_levels():
    mean = sum(units_of(n * 3.7).bit_count() for n in range(10, 3000)) / 2990

    assert mean < 8


@given(seconds, seconds)
def test_a_longer_delay_is_not_much_shorter(one: float, other: float):
    short, long = sorted((one, other))

    assert units_of(short) * UNIT <= units_of(long) * UNIT + UNIT + min(
        max(UNIT, short / 1000), 1.0
    )


@pytest.mark.parametrize("delay", [0.0, 1e-9, UNIT / 2, UNIT, -5.0])
def test_the_shortest_delay_is_one_unit(delay: float):
    assert units_of(delay) == 1


@pytest.mark.parametrize("delay", [MAX_DELAY, MAX_DELAY * 2, 1e12])
def test_the_longest_delay_takes_all_levels_at_most(delay: float):
    assert units_of(delay) == 2**LEVELS - 1


def test_the_ladder_leads_from_each_level_to_the_one_below():
    plan = ladder_declarations()
    exchanges = {d.name: d.arguments for d in plan if isinstance(d, DeclareExchange)}
    queues = {d.name: d.arguments for d in plan if isinstance(d, DeclareQueue)}
    binds = {d.source: d for d in plan if isinstance(d, Bind)}

    assert exchanges[DUE_EXCHANGE] == {"alternate-exchange": RETURN_EXCHANGE}
    assert len(queues) == LEVELS
    below = DUE_EXCHANGE
    for level in range(LEVELS):
        name = level_name(level)
        assert exchanges[name] == {"alternate-exchange": below}
        assert queues[name]["x-dead-letter-exchange"] == below
        assert "x-dead-letter-routing-key" not in queues[name]  # the message keeps its own
        assert queues[name]["x-message-ttl"] == round(UNIT * 1000) * 2**level
        assert queues[name]["x-dead-letter-strategy"] == "at-least-once"
        assert queues[name]["x-overflow"] == "reject-publish"
        assert queues[name]["x-queue-type"] == "quorum"
        assert binds[name].arguments == {"x-match": "all", f"rmqwork-d{level}": True}
        below = name


def test_each_declaration_finds_what_it_refers_to():
    known = {RETURN_EXCHANGE}
    for declaration in ladder_declarations():
        if isinstance(declaration, Bind):
            assert {declaration.source, declaration.destination} <= known
        else:
            assert declaration.arguments.get("alternate-exchange", RETURN_EXCHANGE) in known
            known.add(declaration.name)


def test_a_first_publish_goes_on_to_the_twin():
    [bind] = first_publish_declarations("events")

    assert bind == Bind(
        DUE_EXCHANGE, "events.due", "", {"x-match": "all", "rmqwork-due": "events"}, True
    )


@pytest.mark.parametrize("exchange", ["", RETURN_EXCHANGE])
def test_what_is_routed_by_its_queues_name_returns_by_it(exchange: str):
    first, headers = entry(exchange, 0.03)

    assert (first, headers) == enter(0.03)


def test_what_is_for_another_exchange_names_it():
    first, headers = entry("events", 0.03)

    assert (first, headers) == (enter(0.03)[0], {DUE_HEADER: "events", **enter(0.03)[1]})


def test_a_delay_beyond_the_longest_is_the_longest():
    assert entry("", 2 * MAX_DELAY) == enter(MAX_DELAY)


def test_the_example_of_the_page() -> None:
    """docs/how-to/topology.md: 12 units of 25 ms are level 3 (8) and level 2 (4)."""
    first, headers = enter(0.3)

    assert first == "rmqwork.delay.v1.03"
    assert sorted(headers) == ["rmqwork-d2", "rmqwork-d3"]
