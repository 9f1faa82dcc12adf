"""Messages between the worker process, the template and the executors."""
