"""What lists are made of: entries that come, titles that leave, names and ids; all pure."""
