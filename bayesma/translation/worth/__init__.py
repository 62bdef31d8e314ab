"""What a prediction is worth to a trial: a prior, its effective sample size, assurance."""
