"""``rmqwork dlq``: dead letters, one module a verb."""
