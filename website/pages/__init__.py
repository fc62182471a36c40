"""HTML from the server: one blueprint a topic."""
