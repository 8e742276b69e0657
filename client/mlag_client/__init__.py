"""Typed client of the DFS group's management agent, on ncclient."""
