"""What is not there: funnel asymmetry, trim-and-fill, selection."""
