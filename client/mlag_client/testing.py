"""For tests of users: agents in one line, and validation against the modules that the server itself advertises.

::

    from mlag_client.testing import assert_yang_valid, pair

    with pair() as (first, second):
        with first.client() as client:
            client.set_peer_link(...)
            assert_yang_valid(client.manager.get(), client)

With pytest the fixtures ``mlag_agent`` and ``mlag_pair`` are there without an import (``mlag_client.pytest_plugin``).
``assert_yang_valid`` needs the extra ``testing``.
"""

from __future__ import annotations

from mlag_client.background import RunningAgent, RunningPair, agent, pair
from mlag_client.yang import YangModules, assert_yang_valid

__all__ = ["RunningAgent", "RunningPair", "YangModules", "agent", "assert_yang_valid", "pair"]
