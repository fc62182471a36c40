"""Takes events over HTTP, stores one notification per recipient, and pushes it over UDP."""
