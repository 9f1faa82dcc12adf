"""Exchanges, queues, bindings, partitions and delays as values."""
