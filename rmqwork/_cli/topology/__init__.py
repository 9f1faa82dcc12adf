"""``rmqwork topology``: exchanges, queues and bindings as code, one module a verb."""
