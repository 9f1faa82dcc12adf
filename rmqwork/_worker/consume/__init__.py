"""Consumers over a connection that may come and go."""
