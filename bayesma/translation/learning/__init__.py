"""What the next animal experiment would teach."""
