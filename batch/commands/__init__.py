"""What a person or a timer can ask for, one command a module."""
