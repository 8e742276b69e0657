"""Scenarios: what happens to a pair, written down in a file and run against two agents (docs/scenarios.md)."""

from mlag_agent.scenario.clock import VirtualLoop
from mlag_agent.scenario.run import Outcome, run_file
from mlag_agent.scenario.script import Script, load

__all__ = ["Outcome", "Script", "VirtualLoop", "load", "run_file"]
