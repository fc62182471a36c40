"""The contents of datagrams, and proofs of who may send them: pure."""
