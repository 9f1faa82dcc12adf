"""Calls as values, and what can be made of them: chains, groups, chords."""
