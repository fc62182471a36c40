"""SQL and its row mapping: notifications, readers, and what is unread."""
