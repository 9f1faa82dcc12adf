"""Results of tasks: records, back ends and `AsyncResult`."""
