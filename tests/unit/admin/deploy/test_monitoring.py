"""What is scraped for the alerts."""

from __future__ import annotations

from tests.unit.admin.deploy.shop import rendered


def test_a_broker_that_is_rendered_is_scraped_for_the_metrics_of_the_alerts():
    objects = rendered(nodes=3)

    (endpoint,) = objects["PodMonitor", "shop-rabbitmq"]["spec"]["podMetricsEndpoints"]
    assert endpoint["params"]["family"] == ["queue_coarse_metrics", "queue_consumer_count"]
    assert ("PodMonitor", "rabbit") not in rendered(cluster="rabbit")
    assert not [one for one in rendered(nodes=3, monitoring=False) if one[0] == "PodMonitor"]
