"""What operators see of a run: progress, metrics, alerts."""
