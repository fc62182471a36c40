"""The commands of `mangahub-notify`, one a file."""
