"""What the alerts are about is really exported: by a worker, and by RabbitMQ as it is scraped."""

from __future__ import annotations

import re
import urllib.request
from typing import Any
from urllib.parse import urlencode

from deploy.proof.app import app
from deploy.proof.docker import until
from rmqwork._admin.deploy.monitoring import broker_monitor, prometheus_rule
from rmqwork._admin.deploy.options import DeployOptions
from rmqwork._admin.deploy.workload import Deployment, make_deployment
from rmqwork._config.manifest import Manifest
from tests.deploy.conftest import ContainersHarness

_SELECTOR = re.compile(r"([a-z_]*)\{([^{}]*)\}")
_LABEL = re.compile(r'(\w+)(=~?)"((?:[^"\\]|\\.)*)"')
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def estate() -> Deployment:
    options = DeployOptions(app="app:app", image="proof", nodes=3)
    return make_deployment(Manifest.from_dict(app.manifest()), options)


def scraped(url: str) -> list[dict[str, str]]:
    """The series of a scrape: their labels, the name among them."""
    with _OPENER.open(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [_SELECTOR.match(line) for line in lines if not line.startswith("#")]
    return [
        {"__name__": one[1], **{name: value for name, _, value in _LABEL.findall(one[2])}}
        for one in found
        if one is not None
    ]


def selected(selector: tuple[str, str], series: list[dict[str, str]]) -> list[dict[str, str]]:
    """The series that a selector of PromQL matches."""
    name, labels = selector
    wanted = [
        (label, pattern.replace("\\\\", "\\") if sign == "=~" else re.escape(pattern))
        for label, sign, pattern in _LABEL.findall(labels)
    ]
    wanted += [("__name__", name)] if name else []
    return [
        one
        for one in series
        if all(re.fullmatch(text, one.get(label, "")) for label, text in wanted)
    ]


def test_each_alert_finds_its_series(stage: ContainersHarness) -> None:
    app.publish_many([])
    worker = stage.site.worker("watched", "-c", "1")
    worker.wait_ready()
    spec: Any = broker_monitor(estate())["spec"]
    (monitor,) = spec["podMetricsEndpoints"]
    query = urlencode(monitor["params"], doseq=True)
    urls = [
        f"http://{stage.broker.address}:15692{monitor['path']}?{query}",
        f"http://{stage.broker.address}:15692/metrics/per-object",
    ]
    alerts: Any = prometheus_rule(estate())["spec"]
    (group,) = alerts["groups"]
    selectors = {one for rule in group["rules"] for one in _SELECTOR.findall(rule["expr"])}

    assert len(selectors) == 4  # dead letters, what is ready, consumers, and the worker's own
    for selector in selectors:
        if selector[0]:
            assert selected(selector, scraped(f"http://{worker.address}:8080/metrics")), selector
            continue
        for url in urls:
            until(
                lambda s=selector, u=url: selected(s, scraped(u)), f"{selector} in {url}", 60, 0.5
            )
    assert worker.stop(30) == 0
