"""Human evidence: read, held against what was predicted, and learnt from."""
