"""``rmqwork demo``: a real load on real queues, with real workers, and a ledger at the end."""
