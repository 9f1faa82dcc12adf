"""`App`, `Task`, and the run of a task's function."""
