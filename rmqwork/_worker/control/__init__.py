"""Operators' commands, executed on this worker."""
