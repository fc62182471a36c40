"""The endpoints: queries, lists, and how entities are shown."""
