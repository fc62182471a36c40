"""The kinds of events, and what a valid one looks like."""
