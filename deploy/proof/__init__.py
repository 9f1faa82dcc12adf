"""Proofs with real containers, run by hand: `python -m deploy.proof.rolling` and `.cluster`."""
