"""Joins of groups."""
