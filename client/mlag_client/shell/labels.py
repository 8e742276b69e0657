"""Words of the device for values of the modules, where several displays show them (DOMAIN.md section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["CHECKED_ITEMS", "FAILED_CODES"]

CHECKED_ITEMS: Final[Mapping[str, str]] = {
    "stp-enable": "STP Enable",
    "stp-mode": "STP Mode",
    "v-stp": "V-STP",
    "stp-vlan-disable": "STP Vlan Disable",
    "election-mode": "Election mode",
    "vlan": "VLAN",
    "vlanif-ipv4": "VLANIF(IPV4)",
    "m-lag-id": "M-LAG",
    "m-lag-mode": "M-LAG Mode",
    "m-lag-member-number": "M-LAG Member Number",
    "lacp-m-lag-system-id": "LACP M-LAG System-Id",
    "lacp-m-lag-priority": "LACP M-LAG Priority",
    "stp-edged-port": "STP Edged-port",
    "lacp-mode": "LACP Mode",
    "exclude-vlan": "Exclude VLAN",
    "m-lag-ipv4-address": "M-LAG IPv4 Address",
    "m-lag-ipv6-address": "M-LAG IPv6 Address",
    "m-lag-ipv6-link-local-address": "M-LAG IPv6 Link-local",
}
"""Items of the consistency check; those below M-LAG are named by us."""

FAILED_CODES: Final[Mapping[int, str]] = {
    1: "VLAN/port relation",
    2: "port STP configuration",
    3: "STP port priority",
    4: "LACP mode",
    5: "M-LAG configuration",
    6: "member number",
    7: "LACP system ID",
    8: "LACP priority",
    9: "STP edged port",
    10: "M-LAG mode",
}
"""Of 'failed(n)' in 'display dfs-group 1 m-lag brief'."""
