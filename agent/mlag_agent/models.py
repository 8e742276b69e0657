"""The device models of the M-LAG chapter (DOMAIN.md 4.3) and what each can do: one table.

A model's abilities are the features of ``dfs-m-lag`` that are enabled for it; what features cannot say (a default, a
range) stands in its deviation module below ``yang/models``, which ``python -m mlag_agent.models`` writes from here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlag_agent.errors import SettingsError

__all__ = ["DEFAULT_MODEL", "FEATURES", "MODELS", "DeviceModel", "deviation_texts", "find_model"]

FEATURES: Final = (
    "ipv6", "vxlan", "port-group", "virtual-peer-link", "vlanif-bypass", "layer2-overlay-enhanced", "route-convergence",
)  # fmt: skip
"""Features of ``dfs-m-lag``."""

DEFAULT_MODEL: Final = "CE6866"

# The models of the page 'peer-link source ipv6 tcp-port': all of the chapter but the CE6885-LL in low-latency mode.
_MODELS = (
    "CE6863H", "CE6863H-K", "CE6860-SAN", "CE6866K", "CE6866", "CE6860-HAM", "CE6855-48XS8CQ", "CE6885-SAN",
    "CE8850-SAN", "CE8855", "CE8851-32CQ4BQ", "CE8851K", "CE8851-32CQ8DQ-P", "CE8850-HAM", "CE6881H", "CE6881H-K",
    "CE6820H", "CE6820H-K", "CE6820S", "CE6885", "CE6885-T", "CE6885-LL", "CE6863E-48S8CQ",
)  # fmt: skip

# DOMAIN.md 2.1 (24, 23) and 2.2, command by command.
_CE6820 = frozenset({"CE6820H", "CE6820H-K", "CE6820S"})
_CE6863H_CE6881H = frozenset({"CE6863H", "CE6863H-K", "CE6881H", "CE6881H-K"})
_PORT_GROUP = _CE6820 | _CE6863H_CE6881H | {
    "CE6860-SAN", "CE6866K", "CE6866", "CE6860-HAM", "CE8850-SAN", "CE8851K", "CE8851-32CQ8DQ-P", "CE8850-HAM",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """``features``: those of ``dfs-m-lag``; ``layer3_enhanced``: the default of enhanced Layer 3 forwarding;
    ``excluded_vlan_max``: the highest VLAN that ``port vlan exclude`` takes."""

    name: str
    features: tuple[str, ...]
    layer3_enhanced: bool
    excluded_vlan_max: int = 4094

    @property
    def ipv6(self) -> bool:
        """The IPv6 form of peer-link source, and ND."""
        return "ipv6" in self.features

    @property
    def family(self) -> str:
        """Class of device and chips: both devices of a pair are of one (DOMAIN.md 1.1; which belong together is our
        reading of where the command pages set models apart, docs/decisions/053-pairing.md)."""
        return self.name[:4] + ("H" if self.name in _CE6820 | _CE6863H_CE6881H else "")

    @property
    def deviations(self) -> str:
        """Name of its deviation module; a colon is no character of a YANG identifier (RFC 7950 section 6.2)."""
        return f"dfs-m-lag-deviations-{self.name.replace(':', '-').lower()}"


def _model(name: str) -> DeviceModel:
    lacking = {"layer2-overlay-enhanced", "route-convergence"}
    old_chips = name in _CE6820 | _CE6863H_CE6881H
    if name in _CE6820:
        lacking |= {"vxlan", "vlanif-bypass"}
    if name in _CE6863H_CE6881H:
        lacking.discard("layer2-overlay-enhanced")
    if old_chips:
        lacking.discard("route-convergence")
        lacking.add("virtual-peer-link")
    if name not in _PORT_GROUP:
        lacking.add("port-group")
    return DeviceModel(name, tuple(f for f in FEATURES if f not in lacking), layer3_enhanced=not old_chips)


MODELS: Final = {
    **{name: _model(name) for name in _MODELS},
    # The CE6885-LL has two forwarding modes; the page lists it "(standard forwarding mode)" only.
    "CE6885-LL:standard": _model("CE6885-LL:standard"),
    "CE6885-LL:low-latency": DeviceModel(
        "CE6885-LL:low-latency", features=(), layer3_enhanced=True, excluded_vlan_max=1023
    ),
}


def find_model(name: str) -> DeviceModel:
    """The model of that name; raises SettingsError with the names there are."""
    model = MODELS.get(name)
    if model is None:
        raise SettingsError(f"no device model {name}", f"known models: {', '.join(MODELS)}")
    return model


# --- deviation modules --------------------------------------------------------------------------------------------

_HEAD = """\
module {module} {{
  yang-version 1.1;
  namespace "urn:mlag-agent:yang:{module}";
  prefix dml-{prefix};

  import dfs-m-lag {{
    prefix dml;
  }}
{imports}
  organization
    "The mlag-agent project";
  contact
    "See the project's README.";
  description
    "How the model {name} differs from module dfs-m-lag.
     Written by 'python -m mlag_agent.models' from the table there.";

  revision 2026-11-24 {{
    description
      "Initial revision.";
    reference
      "Command pages of the M-LAG chapter";
  }}

  deviation "/dml:m-lag/dml:global/dml:layer3-enhanced-enable" {{
    description
      "Enhanced Layer 3 forwarding is {state} by default.";
    deviate add {{
      default "{default}";
    }}
  }}
"""

_IMPORTS = """\
  import ietf-interfaces {
    prefix if;
  }
  import dfs-m-lag-interfaces {
    prefix dmli;
  }
"""

_EXCLUDED_VLANS = """\

  deviation "/if:interfaces/if:interface/dmli:m-lag/dmli:peer-link"
          + "/dmli:exclude-vlan" {{
    description
      "The VLANs of 'port vlan exclude' end at {highest}.";
    deviate replace {{
      type uint16 {{
        range "1..{highest}";
      }}
    }}
  }}
"""


def deviation_texts() -> Iterator[tuple[str, str]]:
    """File name and text of each model's deviation module."""
    for model in MODELS.values():
        narrow = model.excluded_vlan_max < 4094
        text = _HEAD.format(
            module=model.deviations,
            prefix=model.name.replace(":", "-").lower(),
            imports=_IMPORTS if narrow else "",
            name=model.name,
            state="on" if model.layer3_enhanced else "off",
            default=str(model.layer3_enhanced).lower(),
        )
        if narrow:
            text += _EXCLUDED_VLANS.format(highest=model.excluded_vlan_max)
        yield f"{model.deviations}.yang", text + "}\n"


def main() -> None:
    """Write the deviation modules into ``yang/models`` of the checkout, or the folder given."""
    top = Path(__file__).resolve().parents[2]
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else top / "yang" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in deviation_texts():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
