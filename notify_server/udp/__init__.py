"""Clients and datagrams, in one thread."""
