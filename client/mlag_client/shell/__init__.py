"""A command line like the device's, over NETCONF and nothing else (DOMAIN.md section 4.4).

``core`` is the shell without a terminal, ``display`` what its display commands print, ``terminal`` prompt_toolkit's
side of it.
"""

from __future__ import annotations

from mlag_client.shell.core import Answer, Shell

__all__ = ["Answer", "Shell"]
