"""SQL and its row mapping: what is kept in the database."""
