"""The ledger as people read it, and where to look further."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rmqwork._cli.demo.screen import Screen
from rmqwork._cli.demo.stage import Played
from rmqwork._cli.demo.workers import APP
from rmqwork._messages.dead_letter import DeadLetter

_SHOWN = 60


def report(here: Screen, played: Played) -> bool:
    """Print the ledger; returns whether it balances and every thumbnail is there."""
    ledger = played.ledger
    reasons = Counter(letter.reason for letter in played.letters)
    named = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    lines = [
        "",
        f"LEDGER    {ledger.published:,} messages in {played.seconds:.1f} s",
        _row("published", ledger.published, "each confirmed by the broker"),
        _row("executed", ledger.executed, _executed(played)),
        _row("dead-lettered", ledger.dead, f"in the dead-letter queues: {named or 'none'}"),
        _row("lost", len(ledger.lost), "published, and in no visible place"),
        _row("thumbnails", played.whole, "on disk, opened and whole"),
    ]
    if ledger.both or ledger.foreign:
        lines.append(f"  ({ledger.both} executed and dead, {ledger.foreign} not published here)")
    made = played.whole == ledger.executed
    good = ledger.balances and made
    sum_of_both = f"{ledger.published:,} = {ledger.executed:,} + {ledger.dead:,}"
    if ledger.both:
        sum_of_both += f" - {ledger.both:,}"
    lines.append(
        f"  published = executed + dead-lettered: {sum_of_both}, lost = {len(ledger.lost)}"
        if good
        else "  THE LEDGER DOES NOT BALANCE"
    )
    lines += [f"  lost: {task_id}" for task_id in sorted(ledger.lost)[:10]]
    for part in (_letters(played.letters), [str(left) for left in played.departures]):
        lines += ["", *part] if part else []
    lines.append("")
    here.say("\n".join(lines))
    return good


def _row(name: str, count: int, remark: str) -> str:
    return f"  {name:<14}{count:>7,}   {remark}"


def _executed(played: Played) -> str:
    again = played.ledger.run_twice
    twice = f"{again} of them twice" if again else "none of them twice"
    return f"{twice}; {played.retries} runs before that ended in a retry"


def _letters(letters: Iterable[DeadLetter]) -> list[str]:
    """One dead letter of each reason and error, with how many there are."""
    letters = list(letters)
    kinds = Counter((letter.reason, letter.error_type) for letter in letters)
    first = {(letter.reason, letter.error_type): letter for letter in reversed(letters)}
    lines = ["DEAD LETTERS, one of each kind"] if letters else []
    for kind, count in kinds.most_common():
        letter = first[kind]
        error = letter.error_type.rpartition(".")[2]
        text = f"{error}: {letter.error_message}" if error else letter.error_message
        if len(text) > _SHOWN:
            text = text[: _SHOWN - 1] + "…"
        lines.append(f"  {count:>4}  {letter.reason:<10}  attempt {letter.attempt}  {text}")
    return lines


def further(address: Path, letters: Sequence[DeadLetter]) -> str:
    """The commands to look around with while everything stays.

    Args:
        address: the file with the broker's address.
        letters: one of them is shown.
    """
    lines = [
        "The queues and the dead letters stay until Ctrl-C. In another terminal:",
        f"  export RMQWORK_APP={APP} RMQWORK_BROKER=$(cat {address})",
        "  rmqwork queues",
        "  rmqwork dlq list",
    ]
    lines += [f"  rmqwork dlq show {letter.id}" for letter in letters[-1:]]
    return "\n".join([*lines, f"The images, thumbnails and logs are in {address.parent}"])
