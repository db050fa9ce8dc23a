"""The other side of a network: peers that a test makes, and networks of real nodes."""
