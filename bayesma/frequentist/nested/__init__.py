"""Dependent rows: nested variances, sampling covariance, cluster-robust inference."""
