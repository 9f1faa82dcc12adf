"""The executor process: runs tasks in threads and on an event loop, and reports their outcomes."""
