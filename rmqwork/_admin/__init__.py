"""Operators' tools: management API, topology, doctor, Kubernetes objects, dead letters."""
