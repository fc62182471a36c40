"""From the outbox to the notification server."""
