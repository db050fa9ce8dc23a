"""The shapes of networks: named ones, and files good and bad."""
