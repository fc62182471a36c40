"""From an accepted event to those who are to hear of it."""
