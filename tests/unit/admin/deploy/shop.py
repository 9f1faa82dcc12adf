"""An app to be deployed, and its objects."""

from __future__ import annotations

import copy
from typing import Any

from rmqwork import App, Binding, Exchange, Queue
from rmqwork._admin.deploy.options import DeployOptions
from rmqwork._admin.deploy.render import render
from rmqwork._admin.deploy.workload import make_deployment
from rmqwork._config.manifest import Manifest

OPTIONS: dict[str, Any] = {"app": "shop.app:app", "image": "registry.example/shop:1.4"}


def shop(**settings: Any) -> Manifest:
    app = App(
        "shop",
        queues=[
            Queue("high_priority", bindings=[Binding("events", "a.#"), Binding("events", "b.#")]),
            Queue("low.priority", max_length=10),
            Queue("idle", type="classic"),
        ],
        exchanges=[Exchange("events")],
        default_queue="low.priority",
        **settings,
    )

    @app.task(queue="high_priority", time_limit=40, hard_time_limit=100)
    def slow() -> None: ...

    @app.task(queue="high_priority", time_limit=10)
    def quick() -> None: ...

    @app.task
    async def fetch() -> None: ...

    return Manifest.from_dict(app.manifest())


def rendered(manifest: Manifest | None = None, **options: Any) -> dict[tuple[str, str], Any]:
    """The objects by kind and name, as others see them: plain and apart."""
    estate = make_deployment(manifest or shop(), DeployOptions(**{**OPTIONS, **options}))
    objects: list[Any] = copy.deepcopy(render(estate))
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def worker(objects: dict[tuple[str, str], Any], name: str) -> tuple[Any, Any]:
    """The spec of a Deployment's pods, and their container."""
    spec = objects["Deployment", name]["spec"]["template"]["spec"]
    return spec, spec["containers"][0]
