"""Deliveries in the worker, its options and its plan, as values."""
