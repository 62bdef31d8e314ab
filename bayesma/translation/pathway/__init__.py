"""From a fit to people: what is assumed on the way, and the one formula that goes it."""
