"""get-data and the operational datastore over real sessions (RFC 8526, RFC 8342)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from conftest import Start
from mlag_agent.app import Device
from mlag_agent.features.base import LEARNED, Agent, Feature, StateProvider
from mlag_agent.schema.nodes import ModuleRequest
from netconf_client import DML, Client, Reply, channel, group

DF = "urn:test:defaults"
TB = "urn:test:learning"
WD = "urn:ietf:params:xml:ns:netconf:default:1.0"
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
OR = "urn:ietf:params:xml:ns:yang:ietf-origin"
NCWD = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
FOLDER = str(Path(__file__).parents[1] / "data" / "yang")


def _learned(agent: Agent) -> Mapping[str, Any]:
    """What the device knows of its own: an entry that nobody has configured, and a leaf of one that somebody has."""
    return {
        "row": [
            {"id": 9, "label": "found", "tag": ["t"]},
            {"id": 1, "label": "configured wins", "tag": ["x", "learned"]},
        ]
    }


SOURCE = Feature(
    name="learning",
    modules=(ModuleRequest("learning"),),
    state=(StateProvider("/learning:box", _learned, LEARNED),),
    data_only=True,
)


@pytest.fixture
async def device(start: Start) -> Device:
    return await start(yang_dirs=(FOLDER,), modules=("defaults",), features=(SOURCE,))


async def get_data(session: Client, datastore: str = "operational", content: str = "") -> Reply:
    return await session.rpc(
        f'<get-data xmlns="{NMDA}" xmlns:ds="{DS}" xmlns:or="{OR}">'
        f"<datastore>ds:{datastore}</datastore>{content}</get-data>"
    )


def subtree(content: str) -> str:
    return f"<subtree-filter>{content}</subtree-filter>"


def origins(reply: Reply) -> dict[str, str | None]:
    """Path (of an entry with its first key) to the annotation that it has."""
    found: dict[str, str | None] = {}

    def walk(element: etree._Element, path: str) -> None:
        for child in element:
            key = f"[{child[0].text}]" if etree.QName(child).localname in ("row", "interface") else ""
            here = f"{path}/{etree.QName(child).localname}{key}"
            if etree.QName(child).localname == "tag":
                here += f"[{child.text}]"
            value = child.get(f"{{{OR}}}origin")
            if value is not None:
                prefix, _, name = value.partition(":")
                value = f"{child.nsmap[prefix].rpartition(':')[2]}:{name}"
            found[here] = value
            walk(child, here)

    walk(reply.data, "")
    return found


ROW = f'<box xmlns="{TB}"><name>n</name><row><id>1</id><label>mine</label><tag>x</tag></row></box>'


class TestDatastores:
    @pytest.mark.parametrize("datastore", ["running", "candidate"])
    async def test_configuration(self, session: Client, datastore: str) -> None:
        assert (await session.edit(ROW, datastore)).ok
        reply = await get_data(session, datastore, subtree(f'<box xmlns="{TB}"/>'))
        assert etree.QName(reply.data).namespace == NMDA
        assert (reply.leafs("label"), reply.leafs("name")) == (["mine"], ["n"])

    async def test_operational_is_configuration_state_and_defaults(self, session: Client) -> None:
        assert (await session.edit(ROW, "running")).ok
        found = await get_data(session, "operational", subtree(f'<box xmlns="{TB}"/>'))
        assert found.leafs("id") == ["1", "9"]
        found = await get_data(session, "operational", subtree(f'<plain xmlns="{DF}"><p/></plain>'))
        assert found.leafs("p") == ["50"]
        found = await get_data(
            session, "operational", subtree(f'<yang-library xmlns="{LIBRARY}"><content-id/></yang-library>')
        )
        assert len(found.leafs("content-id")) == 1

    async def test_without_data(self, session: Client) -> None:
        reply = await get_data(session, "running", subtree(f'<box xmlns="{TB}"/>'))
        assert reply.text.endswith(f'<data xmlns="{NMDA}"/></rpc-reply>')

    @pytest.mark.parametrize("datastore", ["startup", "dynamic", "conventional"])
    async def test_one_that_is_not_there(self, session: Client, datastore: str) -> None:
        error = (await get_data(session, datastore)).error
        assert (error.type, error.tag, error.info["bad-element"]) == ("protocol", "invalid-value", "datastore")

    async def test_datastore_is_needed(self, session: Client) -> None:
        error = (await session.rpc(f'<get-data xmlns="{NMDA}"/>')).error
        assert (error.tag, error.info["bad-element"]) == ("missing-element", "datastore")

    async def test_the_library_lists_them(self, session: Client) -> None:
        found = await session.get(f'<yang-library xmlns="{LIBRARY}"><datastore/></yang-library>')
        names = {text.rpartition(":")[2] for text in found.leafs("name")}
        assert names >= {"running", "candidate", "operational"}
        for name in names - {"factory-default"}:
            assert not (await get_data(session, name, subtree(f'<box xmlns="{TB}"/>'))).errors
        factory = "urn:ietf:params:xml:ns:yang:ietf-factory-default"
        reply = await session.rpc(
            f'<get-data xmlns="{NMDA}"><datastore xmlns:f="{factory}">f:factory-default</datastore></get-data>'
        )
        assert reply.data[:] == []


class TestFilters:
    async def test_xpath(self, session: Client) -> None:
        assert (await session.edit(ROW, "running")).ok
        path = f"<xpath-filter xmlns:t=\"{TB}\">//t:row[t:label='found']/t:tag</xpath-filter>"
        assert (await get_data(session, "operational", path)).leafs("tag") == ["t"]
        path = f'<xpath-filter xmlns:d="{DF}">/d:plain/d:p[. = 50]</xpath-filter>'
        assert (await get_data(session, "operational", path)).leafs("p") == ["50"]

    @pytest.mark.parametrize("path", ["count(//x)", "1 + 1"])
    async def test_xpath_errors_name_the_parameter(self, session: Client, path: str) -> None:
        error = (await get_data(session, "operational", f"<xpath-filter>{path}</xpath-filter>")).error
        assert (error.tag, error.info) == ("invalid-value", {"bad-element": "xpath-filter"})

    @pytest.mark.parametrize("path", ["/y:x", "//["])
    async def test_what_is_no_xpath(self, session: Client, path: str) -> None:
        error = (await get_data(session, "operational", f"<xpath-filter>{path}</xpath-filter>")).error
        assert (error.tag, error.path) == ("invalid-value", "/ietf-netconf-nmda:get-data/xpath-filter")

    async def test_two_filters_are_too_many(self, session: Client) -> None:
        both = subtree(f'<box xmlns="{TB}"/>') + "<xpath-filter>/box</xpath-filter>"
        assert (await get_data(session, "operational", both)).error.tag == "bad-element"

    async def test_config_filter(self, session: Client) -> None:
        assert (await session.edit(group(channel()), "running")).ok
        select = subtree(f'<m-lag xmlns="{DML}"/>')
        both = await get_data(session, "operational", select)
        assert both.leaf("peer-link-source", "ipv6", "tcp-port") == both.leaf("sync-channel", "tcp-port") == "2048"
        config = await get_data(session, "operational", select + "<config-filter>true</config-filter>")
        assert config.leaf("peer-link-source", "ipv6", "tcp-port") == "2048"
        assert config.leaf("sync-channel", "tcp-port") is None
        state = await get_data(session, "operational", select + "<config-filter>false</config-filter>")
        assert state.leaf("peer-link-source", "ipv6", "tcp-port") is None
        assert state.leaf("sync-channel", "tcp-port") == "2048"
        assert state.leaf("dfs-group", "id") == "1"  # what leads there, with its key
        nothing = await get_data(session, "running", select + "<config-filter>false</config-filter>")
        assert nothing.data[:] == []
        assert (await get_data(session, "running", select + "<config-filter>true</config-filter>")).leafs("id") == ["1"]

    @pytest.mark.parametrize(
        ("select", "depth", "found"),
        [
            (f'<box xmlns="{TB}"/>', 1, ["box"]),
            (f'<box xmlns="{TB}"/>', 2, ["box", "box/name", "box/row", "box/row/id"]),
            (f'<box xmlns="{TB}"/>', 3, ["box", "box/name", "box/row", "box/row/id", "box/row/label", "box/row/tag"]),
            (f'<box xmlns="{TB}"><row/></box>', 1, ["box", "box/row", "box/row/id"]),
            (f'<box xmlns="{TB}"><row><id>1</id></row></box>', 1, ["box", "box/row", "box/row/id"]),
            (
                f'<box xmlns="{TB}"><row><id>1</id><label/></row></box>',
                1,
                ["box", "box/row", "box/row/id", "box/row/label"],
            ),
            (
                f'<box xmlns="{TB}"><row/></box>',
                "unbounded",
                ["box", "box/row", "box/row/id", "box/row/label", "box/row/tag"],
            ),
        ],
    )
    async def test_depth(self, session: Client, select: str, depth: Any, found: list[str]) -> None:
        assert (await session.edit(ROW, "running")).ok
        reply = await get_data(session, "running", subtree(select) + f"<max-depth>{depth}</max-depth>")

        def paths(element: etree._Element, path: str = "") -> list[str]:
            mine = [(child, f"{path}{etree.QName(child).localname}") for child in element]
            return [each for child, here in mine for each in (here, *paths(child, f"{here}/"))]

        assert paths(reply.data) == found

    async def test_depth_of_what_xpath_selects(self, session: Client) -> None:
        assert (await session.edit(ROW, "running")).ok
        path = f'<xpath-filter xmlns:t="{TB}">/t:box | //t:row[t:id=1]/t:tag</xpath-filter>'
        reply = await get_data(session, "running", path + "<max-depth>1</max-depth>")
        assert (reply.leafs("tag"), reply.leafs("label"), reply.leafs("name")) == (["x"], [], [])

    @pytest.mark.parametrize("depth", ["0", "65536", "all"])
    async def test_depths_that_are_none(self, session: Client, depth: str) -> None:
        assert (await get_data(session, "running", f"<max-depth>{depth}</max-depth>")).error.tag == "invalid-value"

    async def test_depth_without_a_filter(self, session: Client) -> None:
        assert (await session.edit(ROW, "running")).ok
        reply = await get_data(session, "running", "<max-depth>1</max-depth>")
        assert [len(child) for child in reply.data] == [0] * len(reply.data)


class TestOrigin:
    async def test_annotations(self, session: Client) -> None:
        assert (await session.edit(ROW, "running")).ok
        found = origins(await get_data(session, "operational", subtree(f'<box xmlns="{TB}"/>') + "<with-origin/>"))
        assert found == {
            "/box": "ietf-origin:intended",
            "/box/name": None,
            "/box/row[1]": None,
            "/box/row[1]/id": None,
            "/box/row[1]/label": None,
            "/box/row[1]/tag[x]": None,
            "/box/row[1]/tag[learned]": "ietf-origin:learned",
            "/box/row[9]": "ietf-origin:learned",
            "/box/row[9]/id": None,
            "/box/row[9]/label": None,
            "/box/row[9]/tag[t]": None,
        }

    async def test_defaults_have_theirs(self, session: Client) -> None:
        assert (await session.edit(f'<plain xmlns="{DF}"><none>x</none></plain>', "running")).ok
        select = subtree(f'<plain xmlns="{DF}"><none/><p/><deep/></plain>')
        found = origins(await get_data(session, "operational", select + "<with-origin/>"))
        assert found["/plain"] == "ietf-origin:intended"
        assert (found["/plain/none"], found["/plain/p"]) == (None, "ietf-origin:default")
        assert found["/plain/deep"] == "ietf-origin:default"
        assert found["/plain/deep/deeper/c"] is None

    async def test_state_has_none(self, session: Client) -> None:
        select = subtree(f'<yang-library xmlns="{LIBRARY}"/>')
        assert set(origins(await get_data(session, "operational", select + "<with-origin/>")).values()) == {None}

    async def test_each_top_level_node_of_configuration_has_one(self, session: Client) -> None:
        assert (await session.edit(ROW, "running")).ok
        reply = await get_data(session, "operational", "<config-filter>true</config-filter><with-origin/>")
        assert len(reply.data) > 1
        assert all(child.get(f"{{{OR}}}origin") for child in reply.data)

    @pytest.mark.parametrize(
        ("filters", "ids", "names"),
        [
            ("<origin-filter>or:intended</origin-filter>", ["1"], ["n"]),
            ("<origin-filter>or:learned</origin-filter>", ["1", "9"], []),
            ("<origin-filter>or:system</origin-filter>", [], []),
            ("<origin-filter>or:intended</origin-filter><origin-filter>or:learned</origin-filter>", ["1", "9"], ["n"]),
            ("<negated-origin-filter>or:learned</negated-origin-filter>", ["1"], ["n"]),
            ("<negated-origin-filter>or:intended</negated-origin-filter>", ["1", "9"], []),
        ],
    )
    async def test_filters(self, session: Client, filters: str, ids: list[str], names: list[str]) -> None:
        assert (await session.edit(ROW, "running")).ok
        found = await get_data(session, "operational", subtree(f'<box xmlns="{TB}"/>') + filters)
        assert (found.leafs("id"), found.leafs("name")) == (ids, names)

    async def test_filters_leave_state_alone(self, session: Client) -> None:
        select = subtree(f'<yang-library xmlns="{LIBRARY}"><content-id/></yang-library>')
        found = await get_data(session, "operational", select + "<origin-filter>or:learned</origin-filter>")
        assert len(found.leafs("content-id")) == 1

    @pytest.mark.parametrize(
        "parameter",
        [
            "<with-origin/>",
            "<origin-filter>or:system</origin-filter>",
            "<negated-origin-filter>or:system</negated-origin-filter>",
        ],
    )
    async def test_only_of_operational(self, session: Client, parameter: str) -> None:
        error = (await get_data(session, "running", parameter)).error
        assert error.tag == "invalid-value"
        assert "operational" in error.message


class TestDefaults:
    @pytest.mark.parametrize(
        ("datastore", "mode", "found"),
        [
            ("operational", None, {"a": "16", "p": "50"}),
            ("operational", "report-all", {"a": "16", "p": "50"}),
            ("operational", "report-all-tagged", {"a": "16*", "p": "50*"}),
            ("operational", "explicit", {"a": "16", "p": "50"}),
            ("operational", "trim", {}),
            ("running", None, {"a": "16"}),
            ("running", "report-all", {"a": "16", "p": "50"}),
            ("running", "report-all-tagged", {"a": "16", "p": "50*"}),
            ("running", "trim", {}),
        ],
    )
    async def test_modes(self, session: Client, datastore: str, mode: str | None, found: dict[str, str]) -> None:
        assert (await session.edit(f'<plain xmlns="{DF}"><a>16</a></plain>', "running")).ok
        parameter = f"<with-defaults>{mode}</with-defaults>" if mode else ""
        reply = await get_data(session, datastore, subtree(f'<plain xmlns="{DF}"><a/><p/></plain>') + parameter)
        shown = {
            etree.QName(leaf).localname: f"{leaf.text}{'*' if leaf.get(f'{{{WD}}}default') else ''}"
            for leaf in reply.data.iterfind("*/*")
        }
        assert shown == found


class TestCapabilities:
    async def test_hello(self, session: Client) -> None:
        base = "urn:ietf:params:netconf:capability"
        new = await session.get(f'<yang-library xmlns="{LIBRARY}"><content-id/></yang-library>')
        old = await session.get(f'<modules-state xmlns="{LIBRARY}"><module-set-id/></modules-state>')
        content_id, set_id = new.leaf("content-id"), old.leaf("module-set-id")
        assert f"{base}:yang-library:1.1?revision=2019-01-04&content-id={content_id}" in session.capabilities
        assert f"{base}:yang-library:1.0?revision=2019-01-04&module-set-id={set_id}" in session.capabilities
        assert content_id == set_id
        assert (
            f"{base}:with-operational-defaults:1.0?basic-mode=report-all&also-supported=explicit,report-all-tagged,trim"
            in session.capabilities
        )


async def test_system_state_of_interfaces(session: Client) -> None:
    ianaift = "urn:ietf:params:xml:ns:yang:iana-if-type"
    config = (
        f'<interfaces xmlns="{IF}"><interface><name>eth0</name>'
        f'<type xmlns:i="{ianaift}">i:ethernetCsmacd</type></interface></interfaces>'
    )
    assert (await session.edit(config, "running")).ok
    reply = await get_data(session, "operational", subtree(f'<interfaces xmlns="{IF}"/>') + "<with-origin/>")
    found = origins(reply)
    assert found["/interfaces"] == "ietf-origin:intended"
    assert found["/interfaces/interface[eth0]/enabled"] == "ietf-origin:default"
    assert found["/interfaces/interface[eth0]/oper-status"] is None
