"""What operators see of a run: progress, metrics and alerts."""
