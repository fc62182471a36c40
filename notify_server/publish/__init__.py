"""From an accepted event to its recipients."""
