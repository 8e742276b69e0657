"""dfs-m-lag.yang at the level of data: the command page's example and each of its rules."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET  # as yangson's documentation has it
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yangson import DataModel
from yangson.enumerations import ContentType, ValidationScope

from mlag_agent.data.encode import encode_children
from mlag_agent.datastore.stores import Datastores
from mlag_agent.datastore.transaction import Transactor
from mlag_agent.errors import RpcFailure
from mlag_agent.schema.library import own_folders, standard_folders

GROUP = "/dfs-m-lag:m-lag/dfs-groups/dfs-group[id='1']"
SOURCE = f"{GROUP}/peer-link-source"


def group(inner: str, group_id: str = "1") -> str:
    return (
        f'<m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><dfs-groups><dfs-group><id>{group_id}</id>{inner}</dfs-group>'
        "</dfs-groups></m-lag>"
    )


def form(family: str, local: str = "", peer: str = "", port: str = "2048", vpn: str = "") -> str:
    local = local or ("2001:db8:1::1" if family == "ipv6" else "192.0.2.1")
    peer = peer or ("2001:db8:1::2" if family == "ipv6" else "192.0.2.2")
    vpn = f"<vpn-instance>{vpn}</vpn-instance>" if vpn else ""
    return (
        f"<{family}><local-address>{local}</local-address><peer-address>{peer}</peer-address>{vpn}"
        f"<tcp-port>{port}</tcp-port></{family}>"
    )


def source(*forms: str) -> str:
    return group(f"<peer-link-source>{''.join(forms)}</peer-link-source>")


def violations(bench: Any, payload: str) -> list[tuple[str, str | None, str | None]]:
    """Tag, app-tag and path of each, after the payload and the whole datastore have been checked."""
    try:
        root = bench.load(payload)
        Transactor(bench.library, Datastores(bench.empty)).validate(root)
    except RpcFailure as failure:
        return [(e.tag.value, e.app_tag, e.path) for e in failure.errors]
    return []


INSTANCE = (
    '<network-instances xmlns="urn:ietf:params:xml:ns:yang:ietf-network-instance"><network-instance><name>{}</name>'
    "</network-instance></network-instances>"
)


def test_the_example_of_the_command_page(mlag_bench: Any) -> None:
    assert violations(mlag_bench, source(form("ipv6"))) == []
    assert violations(mlag_bench, source(form("ipv4"))) == []
    assert violations(mlag_bench, INSTANCE.format("vpn1") + source(form("ipv6", vpn="vpn1"))) == []


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            source(form("ipv4"), form("ipv6")),
            [
                ("operation-failed", "peer-link-source-exclusive", f"{SOURCE}/ipv4"),
                ("operation-failed", "peer-link-source-exclusive", f"{SOURCE}/ipv6"),
            ],
        ),
        (
            source(form("ipv6", peer="2001:DB8:1:0:0:0:0:1")),
            [("operation-failed", "peer-address-equals-local-address", f"{SOURCE}/ipv6")],
        ),
        (
            source(form("ipv4", peer="192.0.2.1")),
            [("operation-failed", "peer-address-equals-local-address", f"{SOURCE}/ipv4")],
        ),
        (source(form("ipv6", port="1024")), [("operation-failed", "tcp-port-well-known", f"{SOURCE}/ipv6/tcp-port")]),
        (source(form("ipv6", port="1025")), []),
        (source(form("ipv6", port="65535")), []),
        (source(form("ipv6", port="65536")), [("invalid-value", None, f"{SOURCE}/ipv6/tcp-port")]),
        (source(form("ipv6", port="0")), [("invalid-value", None, f"{SOURCE}/ipv6/tcp-port")]),
        (source(form("ipv6", vpn="none")), [("data-missing", "instance-required", f"{SOURCE}/ipv6/vpn-instance")]),
        (
            INSTANCE.format("_public_") + source(form("ipv6", vpn="_public_")),
            [("operation-failed", "vpn-instance-reserved", f"{SOURCE}/ipv6/vpn-instance")],
        ),
        (INSTANCE.format("n" * 31) + source(form("ipv6", vpn="n" * 31)), []),
        (
            INSTANCE.format("n" * 32) + source(form("ipv6", vpn="n" * 32)),
            [("operation-failed", "vpn-instance-name-length", f"{SOURCE}/ipv6/vpn-instance")],
        ),
        (
            source("<ipv6><local-address>2001:db8::1</local-address></ipv6>"),
            [("data-missing", None, f"{SOURCE}/ipv6/peer-address"), ("data-missing", None, f"{SOURCE}/ipv6/tcp-port")],
        ),
        (group("", "2"), [("invalid-value", "dfs-group-id", GROUP.replace("'1'", "'2'") + "/id")]),
        (group("<authentication/>"), [("data-missing", None, f"{GROUP}/authentication/password")]),
        (
            group("<authentication><password>1234567</password></authentication>"),
            [("invalid-value", "password-length", f"{GROUP}/authentication/password")],
        ),
        (group("<authentication><password>12345678</password></authentication>"), []),
        (
            group(f"<authentication><password>{'x' * 17}</password></authentication>"),
            [("invalid-value", "password-length", f"{GROUP}/authentication/password")],
        ),
        (group(f"<authentication><password>{'x' * 128}</password></authentication>"), []),
        (
            group("<authentication><mode>md5</mode><password>12345678</password></authentication>"),
            [("invalid-value", None, f"{GROUP}/authentication/mode")],
        ),
        (
            '<m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><global><arp-backup-rate>0</arp-backup-rate>'
            "<nd-backup-rate>2001</nd-backup-rate></global></m-lag>",
            [
                ("invalid-value", None, "/dfs-m-lag:m-lag/global/arp-backup-rate"),
                ("invalid-value", None, "/dfs-m-lag:m-lag/global/nd-backup-rate"),
            ],
        ),
        (source(form("ipv6", local="2001:db8::1%eth0")), [("invalid-value", None, f"{SOURCE}/ipv6/local-address")]),
        (source(form("ipv6", local="192.0.2.1")), [("invalid-value", None, f"{SOURCE}/ipv6/local-address")]),
    ],
)
def test_rules(mlag_bench: Any, payload: str, expected: list[Any]) -> None:
    assert sorted(violations(mlag_bench, payload), key=str) == sorted(expected, key=str)


def test_every_violation_in_one_reply(mlag_bench: Any) -> None:
    payload = source(form("ipv6", local="ff02::1", peer="fe80::1", port="80", vpn="x"))
    assert {app for _, app, _ in violations(mlag_bench, payload)} == {
        "address-multicast",
        "address-link-local",
        "tcp-port-well-known",
        "instance-required",
    }


def test_a_missing_vpn_instance_is_named(mlag_bench: Any) -> None:
    root = mlag_bench.load(source(form("ipv6", vpn="RED")))
    with pytest.raises(RpcFailure) as caught:
        Transactor(mlag_bench.library, Datastores(mlag_bench.empty)).validate(root)
    assert 'vpn-instance "RED": no such /ni:network-instances/ni:network-instance/ni:name' in str(caught.value)


# --- addresses against Python's ipaddress -------------------------------------------------------------------


def spellings(address: IPv6Address) -> list[str]:
    groups = address.exploded.split(":")
    low = int(address)
    dotted = str(IPv4Address(low & 0xFFFFFFFF))
    return [
        str(address),
        address.exploded,
        address.exploded.upper(),
        str(address).upper(),
        ":".join(group.lstrip("0") or "0" for group in groups),
        ":".join(groups[:6]) + ":" + dotted,
    ]


SPECIAL6 = [
    "::",
    "::1",
    "::2",
    "fe80::1",
    "febf:ffff::1",
    "fec0::1",
    "ff::1",
    "ff00::",
    "ff02::1",
    "feff::1",
    "2001:db8::1",
    "::ffff:1.2.3.4",
    "::1.2.3.4",
    "0:0:0:0:1:ffff:1.2.3.4",
    "fc00::1",
    "fe7f::1",
    "fff0::1",
]


def expected6(address: IPv6Address) -> set[str]:
    found = set()
    if address.is_link_local:
        found.add("address-link-local")
    if address.is_multicast:
        found.add("address-multicast")
    if address.is_unspecified:
        found.add("address-unspecified")
    if address.is_loopback:
        found.add("address-loopback")
    if address.ipv4_mapped is not None:
        found.add("address-ipv4-mapped")
    return found


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.sampled_from(SPECIAL6).map(IPv6Address),
        st.ip_addresses(v=6),
        st.integers(0xFE00 << 112, (1 << 128) - 1).map(IPv6Address),
        st.integers(0, 1 << 49).map(IPv6Address),
    ),
    st.integers(0, 5),
    st.sampled_from(["local", "peer"]),
)
def test_ipv6_addresses(mlag_bench: Any, address: IPv6Address, spelling: int, side: str) -> None:
    text = spellings(address)[spelling]
    found = violations(
        mlag_bench, source(form("ipv6", **{side: text, {"local": "peer", "peer": "local"}[side]: "2001:db8:9::9"}))
    )
    assert {app for _, app, _ in found} == expected6(address)
    assert {path for _, _, path in found} <= {f"{SOURCE}/ipv6/{side}-address"}
    same = violations(mlag_bench, source(form("ipv6", local=text, peer=spellings(address)[0])))
    assert "peer-address-equals-local-address" in {app for _, app, _ in same}


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.ip_addresses(v=4),
        st.sampled_from([IPv4Address(f"{n}.0.0.1") for n in (0, 1, 126, 127, 128, 223, 224, 239, 240, 255)]),
    )
)
def test_ipv4_addresses(mlag_bench: Any, address: IPv4Address) -> None:
    found = violations(mlag_bench, source(form("ipv4", local=str(address), peer="192.0.2.77")))
    first = int(str(address).split(".")[0])
    expected = set()
    if address.is_loopback:
        expected.add("address-loopback")
    if first == 0 or first >= 224:
        expected.add("address-class")
    if str(address) == "192.0.2.77":
        expected.add("peer-address-equals-local-address")
    assert {app for _, app, _ in found} == expected


# --- a second implementation --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yangson_model(mlag_bench: Any) -> DataModel:
    modules = mlag_bench.tree.modules.values()
    library = {
        "ietf-yang-library:modules-state": {
            "module-set-id": "x",
            "module": [
                {
                    "name": m.name,
                    "revision": m.revision,
                    "namespace": m.namespace,
                    "feature": list(m.features),
                    "conformance-type": "implement" if m.implemented else "import",
                    **(
                        {
                            "deviation": [
                                {"name": d, "revision": mlag_bench.tree.modules[d].revision} for d in m.deviations
                            ]
                        }
                        if m.deviations
                        else {}
                    ),
                    **({"submodule": [{"name": n, "revision": r} for n, r, _ in m.submodules]} if m.submodules else {}),
                }
                for m in modules
            ],
        }
    }
    return DataModel(json.dumps(library), [str(f) for f in (*own_folders(), *standard_folders())])


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_yangson_agrees(mlag_bench: Any, yangson_model: DataModel, family: str) -> None:
    payload = INSTANCE.format("vpn1") + source(form(family, vpn="vpn1")).replace(
        "<peer-link-source>", "<authentication><password>sesame&amp;&lt;1</password></authentication><peer-link-source>"
    )
    payload += (
        '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface><name>10GE1/0/1</name><type'
        ' xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:ethernetCsmacd</type></interface></interfaces>'
    )
    text = encode_children(mlag_bench.load(payload), mlag_bench.namespaces).decode()
    document = ET.fromstring(
        f'<content-data xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-instance-data">{text}</content-data>'
    )
    for node in document.iter():  # yangson's issue 79: it looks for declarations, which ElementTree does not keep
        if (node.text or "").startswith("iana-if-type:"):
            node.set("xmlns:iana-if-type", mlag_bench.namespaces["iana-if-type"])
    instance = yangson_model.from_xml(document)
    instance.validate(ValidationScope.all, ContentType.config)
    assert instance.raw_value()["dfs-m-lag:m-lag"]["dfs-groups"]["dfs-group"][0]["id"] == 1
