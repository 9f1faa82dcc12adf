"""``python -m tools.hostile``: attack a worker with messages made by hand.

Exit codes: 0 it withstood; 1 it did not.
"""

from __future__ import annotations

import sys

import click

from tools.hostile.campaign import cases, chosen, run
from tools.hostile.corpus import FAMILIES


@click.command(help=__doc__)
@click.option("--hostile", default=2_000, help="Hostile messages.", show_default=True)
@click.option("--good", default=500, help="Good messages among them.", show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--family", multiple=True, type=click.Choice(sorted(FAMILIES)), help="Default: all.")
@click.option("--only", help="Cases of the corpus whose name has this text.")
def hostile(hostile: int, good: int, seed: int, family: tuple[str, ...], only: str | None) -> None:
    families = family or tuple(FAMILIES)
    if only is not None:
        messages = [case for case in cases(families) if only in case.what]
        click.echo(f"{len(messages)} cases")
    else:
        messages = chosen(families, hostile, seed)
    report = run(messages, good, say=click.echo)
    for name, value in vars(report).items():
        if name != "tail":
            click.echo(f"{name}: {value}")
    if report.faults:
        click.echo(report.tail)
        for fault in report.faults:
            click.echo(f"FAULT: {fault}")
        sys.exit(1)


if __name__ == "__main__":
    hostile()
