"""HTTP: routes, errors, and the server that answers."""
