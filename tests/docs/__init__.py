"""The documents say what the code does: whatever they name is there, and whatever is there has its place in them."""
