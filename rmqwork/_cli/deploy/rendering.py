"""``rmqwork deploy render``: an app's Kubernetes objects."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from rmqwork._cli.applications import app_argument, app_path, load
from rmqwork._cli.output import as_json_option, note, print_json

if TYPE_CHECKING:
    from rmqwork._admin.deploy.objects import Object
    from rmqwork._admin.deploy.options import DeployOptions, PerQueue
    from rmqwork._admin.deploy.workload import Deployment
    from rmqwork._config.manifest import Manifest

T = TypeVar("T")
_VALUE: Final = "[QUEUE=]N"


def _per_queue(name: str, text: str) -> Callable[[Any], Any]:
    return click.option(name, multiple=True, metavar=_VALUE, help=text)


@click.command("render")
@app_argument
@click.option("--image", required=True, help="Of the workers, with tag or digest.")
@click.option("--name", help="Prefix of all names. Default: the app's name.")
@click.option("--namespace", help="Of all objects. Default: that of whoever applies them.")
@click.option("--secret", help="The Secret with the broker's address under the key url.")
@click.option("--cluster", help="The RabbitmqCluster that is the broker.")
@click.option("--nodes", type=click.IntRange(0), default=0, help="Render it, with so many nodes.")
@click.option("--scaler", type=click.Choice(["keda", "hpa", "none"]), default="keda")
@click.option(
    "--topology",
    type=click.Choice(["job", "operator", "workers"]),
    default="job",
    help="Who declares queues: a Job, RabbitMQ's topology operator, or only the workers.",
)
@_per_queue("--replicas", "Pods at least (default 1; 0 with KEDA).")
@_per_queue("--most", "Pods at most (default 20).")
@_per_queue("--latency", "Seconds that a message may wait (default 10).")
@_per_queue("--task-seconds", "How long a task runs, on average (default 1).")
@_per_queue("--processes", "Executor processes of a pod. Default: the app's setting.")
@_per_queue("--concurrency", "Tasks in threads at once in each. Default: the app's setting.")
@_per_queue("--grace", "Seconds for running tasks. Default: what their time limits need.")
@_per_queue("--cpu", "Millicores of a pod (default 500 a process).")
@_per_queue("--memory", "MiB of a pod (default 128, and 192 a process).")
@click.option("--monitoring/--no-monitoring", default=True, help="PodMonitor and PrometheusRule.")
@click.option("--web/--no-web", default=True, help="Tasks may reach ports 80 and 443 outside.")
@click.option("--short-grace", is_flag=True, help="Accept a grace that cuts tasks off.")
@click.option("--output", type=click.Path(path_type=Path), help="A file. Default: stdout.")
@as_json_option
def render_objects(app: str | None, output: Path | None, as_json: bool, **choices: Any) -> None:
    """Write the Kubernetes objects of APP: for each queue a Deployment of workers with probes, a
    grace that its longest task fits into, a disruption budget and a scaler; and what they share.

    Nothing is applied, and no cluster is needed. Options with QUEUE= are for one queue, and may be
    given again.

    \b
    Example:
      rmqwork deploy render shop.app:app --image registry.example/shop:1.4 \\
          --secret shop-broker --latency high_priority=1 --task-seconds 0.2 | kubectl apply -f -
    """
    from rmqwork._admin.deploy.render import render
    from rmqwork._admin.deploy.workload import make_deployment
    from rmqwork._config.manifest import Manifest

    manifest = Manifest.from_dict(load(app).manifest())
    estate = make_deployment(manifest, _options(app_path(app), choices, manifest))
    objects = render(estate)
    for remark in estate.remarks:
        note(remark)
    if as_json:
        print_json(_list(objects))
        return
    text = _text(objects, estate)
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text)


def _list(objects: Sequence[Object]) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": objects}


def _text(objects: Sequence[Object], estate: Deployment) -> str:
    """Return the objects as YAML, or as JSON where PyYAML is not installed."""
    try:
        from rmqwork._admin.deploy.document import to_yaml
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        note("this is JSON, which kubectl takes, too; for YAML: pip install 'rmqwork[deploy]'")
        return json.dumps(_list(objects), indent=2) + "\n"
    return to_yaml(objects, _comment(estate))


def _comment(estate: Deployment) -> str:
    return (
        f"The app {estate.manifest.app}, by `rmqwork deploy render`: change the app or the options "
        "and render again."
    )


def _options(path: str, choices: dict[str, Any], manifest: Manifest) -> DeployOptions:
    from rmqwork._admin.deploy.options import DeployOptions, per_queue

    def chosen(name: str, default: T, read: Callable[[str], T]) -> PerQueue[T]:
        option = f"--{name.replace('_', '-')}"
        return per_queue(choices.pop(name), default, read, manifest.queues, option)

    return DeployOptions(
        app=path,
        replicas=chosen("replicas", 1, _count),
        most=chosen("most", 20, _count),
        latency=chosen("latency", 10.0, _seconds),
        task_seconds=chosen("task_seconds", 1.0, _seconds),
        processes=chosen("processes", 0, _count),
        concurrency=chosen("concurrency", 0, _count),
        grace=chosen("grace", 0.0, _seconds),
        cpu=chosen("cpu", 0, _count),
        memory=chosen("memory", 0, _count),
        **choices,
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise ValueError(text)
    return number
