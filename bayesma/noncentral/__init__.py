"""The exact likelihood of standardised mean differences: noncentral t, dependent rows and all."""
