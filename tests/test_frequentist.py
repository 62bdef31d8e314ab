"""The classical engine."""
