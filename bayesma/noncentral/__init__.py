"""The exact likelihood of standardised mean differences: noncentral t, and what shares an SD."""
