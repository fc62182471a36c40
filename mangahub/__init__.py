"""What the programs share: the version, reading settings, logging, the command line."""

__version__ = "0.2.0"
