"""May we ask the source, and when: permits, the gate of a run, the circuit."""
