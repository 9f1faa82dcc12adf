"""Kinds of values that several verbs take."""

from __future__ import annotations

from typing import Final

import click

COUNT: Final = click.IntRange(1)
PORT: Final = click.IntRange(0, 65535)
PREFETCH: Final = click.IntRange(1, 65535)
SECONDS: Final = click.FloatRange(0)
