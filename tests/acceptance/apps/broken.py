"""An app that cannot be imported."""

raise LookupError("the answer is not in the environment")
