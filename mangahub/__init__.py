"""What both programs share: the version, how settings are read, how log lines look."""

__version__ = "0.2.0"
