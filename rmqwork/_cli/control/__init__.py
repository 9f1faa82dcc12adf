"""Verbs that speak to running workers, one module a verb."""
