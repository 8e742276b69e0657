"""Datastores: what they hold, who may write (locks), how a change is applied (transaction) and survives (persist)."""
