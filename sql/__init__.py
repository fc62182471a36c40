"""The database: connecting to it, and bringing it to the current schema."""
