"""Fixtures of nodes."""

from tests.kit.nodes import memory_folder, open_node

__all__ = ["memory_folder", "open_node"]
