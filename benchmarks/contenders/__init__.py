"""One module a contender; each runs as a process of its own, in its own environment.

``python -m benchmarks.contenders.NAME publish MODE COUNT BYTES`` publishes, and prints JSON;
``python -m benchmarks.contenders.NAME worker`` works until it is stopped. What they share is
`benchmarks.stage`, which needs the standard library alone.
"""
