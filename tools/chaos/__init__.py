"""A campaign of faults: load, faults drawn from a seed, and a verdict on each message.

Producers, workers and broker are real; what is broken is written down beforehand
(`tools.chaos.faults`), what happened is in a ledger that trusts nobody (`tools.chaos.ledger`).

    python -m tools.chaos --runs 3
"""
