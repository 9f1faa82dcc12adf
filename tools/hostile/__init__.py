"""Hostile messages among good ones: nothing that comes from a queue may stop a worker.

``make hostile`` sends them to a real worker, and counts what became of each.
"""
