"""Settling deliveries, in the order that loses nothing."""
