"""What workflows cost and survive: ``python -m benchmarks.workflows kills|latency|sizes|chain``."""
