"""One row or study less: leave-one-out, influence, cumulative pooling."""
