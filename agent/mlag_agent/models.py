"""The device models of the command page (DOMAIN.md 4.3) and what each can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlag_agent.errors import SettingsError

__all__ = ["DEFAULT_MODEL", "MODELS", "DeviceModel", "find_model"]


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """``ipv6``: the IPv6 form of peer-link source, and ND."""

    name: str
    ipv6: bool = True


DEFAULT_MODEL: Final = "CE6866"

_IPV6_FORM = (
    "CE6863H", "CE6863H-K", "CE6860-SAN", "CE6866K", "CE6866", "CE6860-HAM", "CE6855-48XS8CQ", "CE6885-SAN",
    "CE8850-SAN", "CE8855", "CE8851-32CQ4BQ", "CE8851K", "CE8851-32CQ8DQ-P", "CE8850-HAM", "CE6881H", "CE6881H-K",
    "CE6820H", "CE6820H-K", "CE6820S", "CE6885", "CE6885-T", "CE6885-LL", "CE6863E-48S8CQ",
)  # fmt: skip

MODELS: Final = {
    **{name: DeviceModel(name) for name in _IPV6_FORM},
    # The CE6885-LL has two forwarding modes; the page lists it "(standard forwarding mode)" only.
    "CE6885-LL:standard": DeviceModel("CE6885-LL:standard"),
    "CE6885-LL:low-latency": DeviceModel("CE6885-LL:low-latency", ipv6=False),
}


def find_model(name: str) -> DeviceModel:
    """The model of that name; raises SettingsError with the names there are."""
    model = MODELS.get(name)
    if model is None:
        raise SettingsError(f"no device model {name}", f"known models: {', '.join(MODELS)}")
    return model
