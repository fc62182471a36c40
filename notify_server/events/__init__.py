"""The kinds of events, and the validation of their bodies."""
