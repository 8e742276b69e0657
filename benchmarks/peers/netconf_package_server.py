"""The PyPI package ``netconf`` as a server with a constant reply: runs in an environment of its own (paramiko < 4).

Usage: netconf_package_server.py USER PASSWORD FILE; FILE holds what stands in ``<data>``.
"""

from __future__ import annotations

import errno
import logging
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import netconf.server  # type: ignore[import-untyped]
from lxml import etree
from netconf import util
from paramiko import RSAKey  # type: ignore[import-untyped]


class _Loopback(socket.socket):
    """The package listens on all addresses of IPv6 and has no setting for it: there is no IPv6, and one address."""

    def __init__(self, family: int = -1, *rest: Any, **named: Any) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6 here")
        super().__init__(family, *rest, **named)

    def bind(self, address: Any) -> None:
        super().bind(("127.0.0.1", address[1]))


class _Methods(netconf.server.NetconfMethods):  # type: ignore[misc]  # an untyped package
    def __init__(self, content: bytes) -> None:
        self._content = content

    def rpc_get_config(self, session: object, rpc: object, source: object, wanted: object) -> etree._Element:
        data: etree._Element = util.elm("nc:data")
        data.append(etree.fromstring(self._content))
        return data


def main() -> None:
    """Serve until the process is ended."""
    user, password, file = sys.argv[1:4]
    logging.disable()
    key = Path(file).with_name("package_host_key")
    RSAKey.generate(2048).write_private_key_file(str(key))
    socket.socket = _Loopback  # type: ignore[misc]
    server = netconf.server.NetconfSSHServer(
        netconf.server.SSHUserPassController(username=user, password=password),
        _Methods(Path(file).read_bytes()),
        port=0,
        host_key=str(key),
    )
    print(f"netconf package on port {server.port}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
