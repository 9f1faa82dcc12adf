"""Compare what two commits of this repository cost: ``make compare BASE=<commit>``."""
