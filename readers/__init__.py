"""What is kept of readers, for all programs; it imports none of them."""
