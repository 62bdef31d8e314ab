"""Simulation-based calibration and coverage: whether a model finds the truth behind its data."""
