"""The classical engine: pooling, meta-regression, dependence, bias and influence."""
