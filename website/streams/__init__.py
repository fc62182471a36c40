"""The stream process: server-sent events for pages that are open, and for private addresses."""
