"""SQL of the batch, and its row mapping."""
