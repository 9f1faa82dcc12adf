"""``rmqwork deploy``: what runs an app in Kubernetes, one module a verb."""

from __future__ import annotations

import click

from rmqwork._cli.deploy.rendering import render_objects


@click.group(name="deploy")
def group() -> None:
    """Kubernetes objects from the app itself."""


group.add_command(render_objects)
