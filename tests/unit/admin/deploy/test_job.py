"""The Job that declares the topology."""

from __future__ import annotations

from typing import Any

from tests.unit.admin.deploy.shop import rendered, shop


def test_new_settings_replace_the_pods_and_a_new_image_makes_a_new_job():
    before, settings, image = (
        rendered(),
        rendered(shop(unknown_task_grace=5)),
        rendered(image="x:2"),
    )

    def annotation(objects: dict[tuple[str, str], Any]) -> str:
        template = objects["Deployment", "shop-idle"]["spec"]["template"]
        return str(template["metadata"]["annotations"]["rmqwork/config"])

    def job(objects: dict[tuple[str, str], Any]) -> str:
        return next(name for kind, name in objects if kind == "Job")

    assert annotation(before) != annotation(settings)
    assert job(before) != job(image)
    assert job(before) == job(rendered())
