"""Sending what is stored to readers' channels outside of this machine."""
