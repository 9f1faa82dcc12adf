"""Kinds of values that several verbs take."""

from __future__ import annotations

import math
from typing import Any, Final

import click

from rmqwork._config.sizes import parse_size


class _Seconds(click.FloatRange):
    """0 or more, and a number: `float` takes nan and inf, too."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no number of seconds", param, ctx)
        return number


class _Size(click.IntRange):
    """Bytes, with or without a unit."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            size = parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return int(super().convert(size, param, ctx))


COUNT: Final = click.IntRange(1)
PORT: Final = click.IntRange(0, 65535)
PREFETCH: Final = click.IntRange(1, 65535)
SECONDS: Final = _Seconds(0)
SIZE: Final = _Size(1)
