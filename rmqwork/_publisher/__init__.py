"""The way of publications to the broker and of their confirms back."""
