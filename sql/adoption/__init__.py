"""What an existing MangaHub database brings along."""
