"""How workflows, source and outbox are doing, for every program that shows it."""
