"""Independent rows: weighted least squares, tau2, pooling, regression, subgroups."""
