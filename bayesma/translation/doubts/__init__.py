"""Where the doubt comes from: the variance shared out between its sources."""
