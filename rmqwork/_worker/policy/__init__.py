"""Decisions about deliveries and outcomes, as values."""
