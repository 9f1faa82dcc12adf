"""`render`: from an app's manifest to Kubernetes objects, in the order in which to apply them."""

from __future__ import annotations

from rmqwork._admin.deploy.broker import rabbitmq_cluster, topology_objects
from rmqwork._admin.deploy.job import topology_job
from rmqwork._admin.deploy.monitoring import broker_monitor, pod_monitor, prometheus_rule
from rmqwork._admin.deploy.network import network_policy
from rmqwork._admin.deploy.objects import Object
from rmqwork._admin.deploy.pods import config_map, service_account
from rmqwork._admin.deploy.scaling import (
    horizontal_autoscaler,
    scaled_object,
    trigger_authentication,
)
from rmqwork._admin.deploy.workers import deployment, disruption_budget
from rmqwork._admin.deploy.workload import Deployment
from rmqwork.errors import ConfigurationError


def render(estate: Deployment) -> list[Object]:
    """All objects of an app.

    Raises:
        ConfigurationError: the topology's objects are wanted, and no RabbitmqCluster is named.
    """
    options = estate.options
    objects: list[Object] = [service_account(estate), config_map(estate), network_policy(estate)]
    if options.nodes:
        objects.append(rabbitmq_cluster(estate))
    if options.topology == "operator":
        if estate.cluster is None:
            raise ConfigurationError(
                "--topology operator needs the RabbitmqCluster that the objects belong to; name it "
                "with --cluster, or have it rendered with --nodes 3"
            )
        objects += topology_objects(estate)
    elif options.topology == "job":
        objects.append(topology_job(estate))
    for load in estate.workloads:
        objects += [deployment(estate, load), disruption_budget(estate, load)]
    objects += _scaling(estate)
    if options.monitoring:
        objects += [pod_monitor(estate), prometheus_rule(estate)]
        objects += [broker_monitor(estate)] if options.nodes else []
    return objects


def _scaling(estate: Deployment) -> list[Object]:
    if estate.options.scaler == "keda":
        scaled = [scaled_object(estate, load) for load in estate.workloads]
        return [trigger_authentication(estate), *scaled]
    if estate.options.scaler == "hpa":
        return [horizontal_autoscaler(estate, load) for load in estate.workloads]
    return []
