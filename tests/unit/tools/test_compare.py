"""The pure parts of ``make compare``: order, ratios, intervals, verdicts, table, options."""

from __future__ import annotations

import math
import random
import subprocess
from pathlib import Path

import pytest

from tests.requirements import require_program
from tools.compare.__main__ import chosen
from tools.compare.builds import BuildFailed, commit, locked, working_tree
from tools.compare.measures import MEASURES, Measure
from tools.compare.pairs import Figure, Pair, Side, compare, interval, order
from tools.compare.report import Failure, Result, number, text, verdict
from tools.compare.runs import STAGED, stage_programs

RATE = Figure("rate", "tasks", "1/s", more=True, bar=0.95)
CPU = Figure("cpu", "CPU per message", "µs", bar=0.98)


def pairs(*both: tuple[float, float], key: str = "cpu") -> list[Pair]:
    """Pairs with these values of base and head, in the order that a campaign has."""
    return [
        Pair(n, order(n, 0)[0], {"base": {key: base}, "head": {key: head}})
        for n, (base, head) in enumerate(both)
    ]


# ── order ─────────────────────────────────────────────────────────────────────────────────────


def test_the_order_alternates_from_pair_to_pair_and_from_measure_to_measure():
    assert [order(pair, 0)[0] for pair in range(4)] == ["base", "head", "base", "head"]
    assert [order(0, place)[0] for place in range(4)] == ["base", "head", "base", "head"]
    assert all(set(order(pair, place)) == {"base", "head"} for pair in (0, 1) for place in (0, 1))


@pytest.mark.parametrize("place", range(len(MEASURES)))
def test_each_side_is_first_in_half_of_the_pairs(place: int):
    first = [order(pair, place)[0] for pair in range(10)]

    assert first.count("base") == first.count("head") == 5


# ── ratios ────────────────────────────────────────────────────────────────────────────────────


def test_a_ratio_of_more_than_one_is_a_better_head():
    assert CPU.ratio(base=20.0, head=16.0) == 1.25
    assert RATE.ratio(base=1000.0, head=1250.0) == 1.25


def test_a_figure_of_nothing_has_no_ratio_and_is_below_its_bar():
    assert math.isnan(CPU.ratio(base=1.0, head=0.0))

    found = compare(CPU, pairs((1.0, 0.0)))

    assert found is not None
    assert found.below


def test_the_ratio_is_the_median_of_the_ratios_and_not_the_ratio_of_the_medians():
    found = compare(CPU, pairs((10, 10), (40, 20), (90, 30)))

    assert found is not None
    assert found.ratios == [1.0, 2.0, 3.0]
    assert (found.ratio, found.base, found.head) == (2.0, 40, 20)


def test_a_pair_with_a_failed_run_is_left_out():
    half = Pair(1, "head", {"base": {"cpu": 10.0}})

    assert compare(CPU, [half]) is None
    found = compare(CPU, [*pairs((10, 5)), half])

    assert found is not None
    assert found.ratios == [2.0]


def test_an_effect_of_the_order_does_not_move_the_ratio_and_is_shown():
    # Nothing differs but that the second run of each pair takes 10 % less CPU.
    second: dict[Side, tuple[float, float]] = {"base": (100, 90), "head": (90, 100)}
    found = compare(CPU, pairs(*(second[order(n, 0)[0]] for n in range(10))))

    assert found is not None
    assert found.ratio == pytest.approx(1.0, abs=0.006)
    assert found.order_effect == pytest.approx(100 / 90)


def test_a_true_difference_is_no_effect_of_the_order():
    found = compare(CPU, pairs(*[(100, 80)] * 10))

    assert found is not None
    assert found.order_effect == pytest.approx(1.0)
    assert found.ratio == 1.25


def test_one_order_alone_tells_nothing_about_its_effect():
    found = compare(CPU, pairs((100, 80)))

    assert found is not None
    assert found.order_effect is None


# ── intervals ─────────────────────────────────────────────────────────────────────────────────


def test_the_interval_of_ten_is_from_the_second_to_the_ninth():
    found = interval([10, 1, 9, 2, 8, 3, 7, 4, 6, 5])

    assert (found.low, found.high) == (2, 9)
    assert found.coverage == pytest.approx(1 - 2 * 11 / 1024)


@pytest.mark.parametrize(
    ("count", "coverage"), [(1, 0.0), (2, 0.5), (3, 0.75), (5, 0.9375), (6, 0.96875)]
)
def test_the_interval_of_few_is_their_range_and_says_how_little_that_is(count, coverage):
    found = interval(list(range(count)))

    assert (found.low, found.high) == (0, count - 1)
    assert found.coverage == pytest.approx(coverage)


def test_intervals_have_the_median_in_them_as_often_as_they_say():
    chance = random.Random(11)
    intervals = [interval([chance.lognormvariate(0, 0.1) for _ in range(10)]) for _ in range(4000)]

    inside = sum(one.low <= 1.0 <= one.high for one in intervals) / len(intervals)

    assert inside == pytest.approx(intervals[0].coverage, abs=0.01)


# ── verdicts, table ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        ([100.0] * 6, "ok"),
        ([101.0, 101.0, 101.0, 101.0, 101.0, 104.0], "ok ?"),
        ([103.0, 103.0, 103.0, 103.0, 103.0, 100.0], "BELOW ?"),
        ([103.0] * 6, "BELOW"),
        ([103.0] * 5, "BELOW ?"),  # five pairs cannot give 95 %
    ],
)
def test_a_verdict_is_in_doubt_where_more_pairs_could_turn_it(head, shown):
    found = compare(CPU, pairs(*((100.0, one) for one in head)))

    assert found is not None
    assert verdict(found) == shown
    assert found.below == shown.startswith("BELOW")


def result(*both: tuple[float, float], failures: list[Failure] | None = None) -> Result:
    measure = Measure("drain", "drain of {size} tasks", 10, 1, lambda run, size: {}, (CPU,))
    found = Result({"base": {"label": "06dc684 old"}}, {measure: 40_000}, {}, failures or [])
    for pair in pairs(*both):
        found.add(measure, pair)
    return found


def test_the_table_names_the_commit_the_measure_the_ratio_and_how_sure_it_is():
    shown = text(result(*[(26.0, 25.0)] * 5, (26.0, 20.0)))

    assert "base: 06dc684 old" in shown
    (row,) = (line for line in shown.splitlines() if line.lstrip().startswith("drain"))
    assert row.split("  ")[0].strip() == "drain of 40,000 tasks"
    assert "26.00 µs" in row
    assert "1.040" in row
    assert "1.040 to 1.300" in row
    assert row.endswith("ok")
    assert "97% (pairs: 6)" in shown


def test_a_failed_run_is_named_with_its_reason():
    failure = Failure("drain", 1, "head", "the worker ended, 3 tasks done; worker's log: [boom]")
    failed = result((26.0, 26.0), failures=[failure])

    shown = text(failed)

    assert "FAILED: drain, pair 2, head: the worker ended, 3 tasks done" in shown
    assert "[boom]" in shown
    assert not failed.complete
    assert failed.values()["failures"][0]["run"] == "drain, pair 2, head"


def test_a_measure_without_a_pair_is_in_the_table_and_is_not_complete():
    empty = result()

    assert "no whole pair" in text(empty)
    assert not empty.complete
    assert not empty.below


def test_the_values_have_each_run():
    values = result((26.0, 25.0), (24.0, 25.0)).values()["measures"]["drain"]

    assert values["pairs"][1] == {
        "pair": 2,
        "first": "head",
        "base": {"cpu": 24.0},
        "head": {"cpu": 25.0},
    }
    assert values["figures"]["cpu"]["ratio"] == pytest.approx((26 / 25 + 24 / 25) / 2)


@pytest.mark.parametrize(
    ("value", "shown"), [(33412.0, "33,412"), (0.0263, "0.02630"), (1.0, "1.000"), (523.4, "523.4")]
)
def test_numbers(value, shown):
    assert number(value) == shown


# ── options ───────────────────────────────────────────────────────────────────────────────────


def test_all_measures_are_run_unless_some_are_named():
    assert [one.name for one in chosen(None, 1.0, "")] == [one.name for one in MEASURES]
    assert [one.name for one in chosen("chain,drain", 1.0, "")] == ["chain", "drain"]


def test_a_size_is_the_one_given_or_scaled_and_never_too_small():
    sizes = {one.name: size for one, size in chosen(None, 0.01, "drain=5000").items()}

    assert (sizes["drain"], sizes["publish"], sizes["idle"]) == (5000, 400, 1)
    assert all(size >= one.least for one, size in chosen(None, 0.0001, "chain=1").items())


@pytest.mark.parametrize(
    ("only", "sizes", "error"),
    [
        ("drian", "", "no measure drian; there are drain, publish"),
        (None, "drian=4", "no measure drian"),
        (None, "drain", "drain=; a size is a number"),
        (None, "drain=x", "drain=x; a size is a number"),
    ],
)
def test_wrong_options_are_named(only, sizes, error):
    with pytest.raises(ValueError, match=error):
        chosen(only, 1.0, sizes)


# ── sources ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    require_program("git", "git")
    root = tmp_path / "repository"
    root.mkdir()
    (root / ".gitignore").write_text("ignored\n")
    (root / "file").write_text("1")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "first")
    return root


def git(root: Path, *arguments: str) -> str:
    """Run Git, whoever the user is."""
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout


def test_a_clean_checkout_is_its_commit(repository: Path):
    (repository / "ignored").write_text("")

    assert working_tree(repository) == commit(repository, "HEAD")


def test_the_working_tree_has_what_is_not_committed_and_leaves_the_index_alone(repository: Path):
    (repository / "file").write_text("2")
    (repository / "new").write_text("")

    source = working_tree(repository)

    assert source.label.endswith("first + uncommitted changes")
    assert git(repository, "ls-tree", "--name-only", source.tree).split() == [
        ".gitignore",
        "file",
        "new",
    ]
    assert git(repository, "cat-file", "-p", f"{source.tree}:file") == "2"
    assert git(repository, "diff", "--cached") == ""


def test_a_commit_that_is_not_there_is_named(repository: Path):
    with pytest.raises(BuildFailed, match="nonesuch"):
        commit(repository, "nonesuch")


def test_a_second_comparison_in_the_same_cache_is_refused(tmp_path: Path):
    with (
        locked(tmp_path / "cache"),
        pytest.raises(BuildFailed, match="another comparison uses"),
        locked(tmp_path / "cache"),
    ):
        pass
    with locked(tmp_path / "cache"):
        pass


def test_the_measured_programs_are_alone_in_their_folder(tmp_path: Path):
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "rmqwork.py").write_text("")

    stage_programs(folder)

    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == set(STAGED)
