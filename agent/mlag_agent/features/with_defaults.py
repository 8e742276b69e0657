"""ietf-netconf-with-defaults: the :with-defaults capability (RFC 6243 section 4), which ``features.reading`` serves."""

from __future__ import annotations

from mlag_agent.data.defaults import Mode
from mlag_agent.features.base import Feature
from mlag_agent.features.reading import SUPPORTED
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["feature"]

CAPABILITY = "urn:ietf:params:netconf:capability:with-defaults:1.0"


def feature(basic: Mode) -> Feature:
    """The capability of a server with that basic mode."""
    return Feature(
        name="with-defaults",
        modules=(ModuleRequest("ietf-netconf-with-defaults"),),
        capabilities=(f"{CAPABILITY}?basic-mode={basic}&also-supported={','.join(SUPPORTED[basic])}",),
    )
