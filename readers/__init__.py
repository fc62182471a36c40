"""What is stored about readers; all programs may import it, and it imports none of them."""
