"""rmqwork beside its peers, the raw clients and a C client, on one broker: see README.md."""
