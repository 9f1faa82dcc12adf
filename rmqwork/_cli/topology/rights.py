"""``rmqwork topology rights``: the least that each kind of user needs."""

from __future__ import annotations

import shlex

import click

from rmqwork._cli.applications import app_argument, load
from rmqwork._cli.output import as_json_option, print_json


@click.command
@app_argument
@as_json_option
def rights(app: str | None, as_json: bool) -> None:
    """Print the least rights of a worker, a publisher and an operator, as RabbitMQ takes them.

    Workers and publishers with these run with RMQWORK_DECLARE=false; an operator has made the
    topology for them (`rmqwork topology apply`).
    """
    from rmqwork._admin.provision.looking import whole_plan
    from rmqwork._admin.provision.rights import rights_of
    from rmqwork._config.addresses import vhost_of

    found = load(app)
    made = rights_of(found, whole_plan(found))
    if as_json:
        print_json({role: one.as_values() for role, one in made.items()})
        return
    for role, one in made.items():
        patterns = " ".join(map(shlex.quote, (one.configure, one.write, one.read)))
        where = shlex.quote(vhost_of(found.settings.broker))
        print(f"rabbitmqctl set_permissions -p {where} {found.name}-{role} {patterns}")
