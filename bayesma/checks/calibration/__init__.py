"""Simulation-based calibration and coverage: does a model find the truth behind its own data?"""
