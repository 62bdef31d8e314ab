"""The decay curve by maximum likelihood."""
