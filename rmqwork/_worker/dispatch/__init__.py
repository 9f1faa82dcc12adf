"""Giving deliveries to executors."""
