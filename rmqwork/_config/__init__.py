"""Settings, broker addresses, logging and the manifest."""
