"""What keeps the site and its readers safe: sessions, forms, headers, limits."""
