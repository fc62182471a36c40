"""SQL of the pages and feeds, beside its row mapping."""
