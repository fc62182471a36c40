"""Looks for the usual mistakes and names the cure."""
