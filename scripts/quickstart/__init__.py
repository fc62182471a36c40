"""What `scripts/quickstart.sh` does once everything is installed: a tour with real programs."""
