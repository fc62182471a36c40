"""What stands in datagrams, and who may send them: pure."""
