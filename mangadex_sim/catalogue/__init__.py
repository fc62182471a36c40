"""Made-up titles, chapters and people."""
