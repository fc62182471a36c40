"""What a person or a timer asks for, one command a module."""
