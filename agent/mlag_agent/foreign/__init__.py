"""Behaviour for modules without code: hooks, canned replies, operational data and events from outside, what came in."""
