"""What reading a module set with pyang gives: plain objects, so that they can be kept (``schema.cache``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlag_agent.schema.nodes import SchemaTree
from mlag_agent.schema.scope import Scopes
from mlag_agent.schema.triggers import Conditions

__all__ = ["LoadedSchema"]


@dataclass(frozen=True, slots=True)
class LoadedSchema:
    """The tree, the files of the operations context (name to text), and what changes can invalidate.

    ``content_id`` is a digest of the module set (RFC 8525 section 3): names, texts, features, deviations.
    """

    tree: SchemaTree
    operations: Mapping[str, str]
    scopes: Scopes
    conditions: Conditions
    content_id: str
