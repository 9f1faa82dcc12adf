"""Dead letters: messages that ended in a dead-letter queue, with the reason."""
