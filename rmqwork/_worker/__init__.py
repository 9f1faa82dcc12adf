"""The worker process: no user code, no pydantic."""
