"""HTTP, the rules of the site, and faults on order."""
