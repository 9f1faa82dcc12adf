"""The template and the executors, as the worker process sees them."""
