"""``rmqwork topology export``: the topology for those who declare it by other means."""

from __future__ import annotations

import json
from typing import Any

import click

from rmqwork._cli.applications import app_argument, load


@click.command
@app_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["definitions", "kubernetes"]),
    default="definitions",
    show_default=True,
    help="RabbitMQ's definitions JSON; or objects of its Messaging Topology Operator.",
)
@click.option("--vhost", metavar="NAME", help="Default: that of the app's broker.")
@click.option(
    "--cluster",
    metavar="NAME",
    default="rabbitmq",
    show_default=True,
    help="kubernetes: the RabbitmqCluster.",
)
@click.option("--cluster-namespace", metavar="NAME", help="kubernetes: where that is.")
@click.option("--namespace", metavar="NAME", help="kubernetes: of the objects.")
def export(app: str | None, form: str, vhost: str | None, **options: Any) -> None:
    """Print the app's topology as JSON, for `rabbitmqctl import_definitions` or `kubectl apply`.

    \b
    Examples:
      rmqwork topology export shop.app:app > definitions.json
      rmqwork topology export shop.app:app --format kubernetes | kubectl apply -f -
    """
    from rmqwork._admin.provision.definitions import definitions
    from rmqwork._admin.provision.kubernetes import objects
    from rmqwork._admin.provision.looking import whole_plan
    from rmqwork._config.addresses import vhost_of

    found = load(app)
    plan = whole_plan(found)
    vhost = vhost or vhost_of(found.settings.broker)
    made: dict[str, Any]
    if form == "definitions":
        made = definitions(plan, vhost)
    else:
        items = objects(plan, vhost=vhost, **options)
        made = {"apiVersion": "v1", "kind": "List", "items": items}
    print(json.dumps(made, indent=2))
