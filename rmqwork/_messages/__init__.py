"""A message as a class, as bytes and as headers."""
