"""Changes that tests order: titles and chapters that come, change and go."""
