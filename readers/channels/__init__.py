"""Readers' channels: ways outside of this machine on which they are notified."""
