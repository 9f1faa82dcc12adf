"""Workflows in flight: what comes next, and joins; pure, without pydantic."""
