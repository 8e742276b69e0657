"""A NETCONF/YANG management agent for the DFS group of an M-LAG switch pair."""

__all__ = ["__version__"]

__version__ = "0.1.0"
