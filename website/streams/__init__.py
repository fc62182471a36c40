"""Server-sent events, in a process of their own."""
