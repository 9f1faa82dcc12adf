"""``rmqwork deploy``: what runs an app in Kubernetes, one module a verb."""
