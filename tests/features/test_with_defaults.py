"""The :with-defaults capability over real sessions (RFC 6243)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from ncclient import manager

from conftest import Connect, Start
from mlag_agent.config import UrlSettings
from netconf_client import NC, PASSWORD, USER, Client, Reply

DF = "urn:test:defaults"
WD = "urn:ietf:params:xml:ns:netconf:default:1.0"
NCWD = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
FOLDER = str(Path(__file__).parents[1] / "data" / "yang")
SERVED = {"yang_dirs": (FOLDER,), "modules": ("defaults",)}
BASIC = ["explicit", "trim", "report-all"]


@pytest.fixture
async def served(start: Start, connect: Connect) -> Callable[..., Any]:
    async def begin(basic: str = "explicit", **options: Any) -> Client:
        return await connect(await start(with_defaults=basic, **SERVED, **options))

    return begin


def plain(content: str) -> str:
    return f'<plain xmlns="{DF}" xmlns:nc="{NC}" xmlns:wd="{WD}">{content}</plain>'


async def read(session: Client, mode: str | None = None, select: str = f'<plain xmlns="{DF}"/>') -> Reply:
    parameter = f'<with-defaults xmlns="{NCWD}">{mode}</with-defaults>' if mode else ""
    return await session.rpc(
        f'<get-config><source><running/></source><filter type="subtree">{select}</filter>{parameter}</get-config>'
    )


def leafs(reply: Reply) -> set[str]:
    """Name and value of some leafs; with * for those that are tagged."""
    found = set()
    for element in reply.data.iter(f"{{{DF}}}*"):
        name = etree.QName(element).localname
        if name in ("a", "p", "none"):
            found.add(f"{name}={element.text}{'*' if element.get(f'{{{WD}}}default') else ''}")
    return found


class TestReading:
    """RFC 6243 section 3; a is set to its default, p is not set, none has no default."""

    @pytest.mark.parametrize(
        ("basic", "mode", "shown"),
        [
            ("explicit", None, {"a=16", "none=x"}),
            ("explicit", "explicit", {"a=16", "none=x"}),
            ("explicit", "trim", {"none=x"}),
            ("explicit", "report-all", {"a=16", "none=x", "p=50"}),
            ("explicit", "report-all-tagged", {"a=16", "none=x", "p=50*"}),
            ("trim", None, {"none=x"}),
            ("trim", "explicit", {"a=16", "none=x"}),
            ("trim", "report-all", {"a=16", "none=x", "p=50"}),
            ("trim", "report-all-tagged", {"a=16*", "none=x", "p=50*"}),
            ("report-all", None, {"a=16", "none=x", "p=50"}),
            ("report-all", "explicit", {"a=16", "none=x"}),
            ("report-all", "trim", {"none=x"}),
        ],
    )
    async def test_modes(self, served: Any, basic: str, mode: str | None, shown: set[str]) -> None:
        session = await served(basic)
        assert (await session.edit(plain("<a>16</a><none>x</none>"), "running")).ok
        assert leafs(await read(session, mode)) == shown
        got = await session.rpc(
            f'<get><filter type="subtree"><plain xmlns="{DF}"/></filter>'
            + (f'<with-defaults xmlns="{NCWD}">{mode}</with-defaults>' if mode else "")
            + "</get>"
        )
        assert leafs(got) == shown

    async def test_filters_see_what_is_shown(self, served: Any) -> None:
        session = await served()
        match = f'<plain xmlns="{DF}"><p>50</p><none/></plain>'
        assert leafs(await read(session, "report-all", match)) == {"p=50"}
        assert leafs(await read(session, None, match)) == set()
        xpath = await session.rpc(
            f'<get-config><source><running/></source><filter type="xpath" xmlns:d="{DF}" select="/d:plain/d:p[.=50]"/>'
            f'<with-defaults xmlns="{NCWD}">report-all</with-defaults></get-config>'
        )
        assert leafs(xpath) == {"p=50"}

    async def test_an_unannounced_mode(self, served: Any) -> None:
        session = await served("report-all")
        error = (await read(session, "report-all-tagged")).error
        assert (error.tag, error.info) == ("invalid-value", {"bad-element": "with-defaults"})
        assert "supported are report-all, explicit, trim" in error.message
        assert (await read(session, "none-such")).error.tag == "invalid-value"


@pytest.mark.parametrize(
    ("basic", "also"),
    [
        ("explicit", "report-all,report-all-tagged,trim"),
        ("trim", "explicit,report-all,report-all-tagged"),
        ("report-all", "explicit,trim"),
    ],
)
async def test_capability(served: Any, basic: str, also: str) -> None:
    session = await served(basic)
    uri = f"urn:ietf:params:netconf:capability:with-defaults:1.0?basic-mode={basic}&also-supported={also}"
    assert uri in session.capabilities
    assert any(
        capability.startswith(f"{NCWD}?module=ietf-netconf-with-defaults") for capability in session.capabilities
    )


class TestEditing:
    """RFC 6243 sections 2.1.2, 2.2.2 and 2.3.2: create and delete of default data."""

    @pytest.mark.parametrize(
        ("basic", "before", "operation", "tag"),
        [
            ("explicit", "<a>16</a>", "create", "data-exists"),
            ("explicit", "", "create", None),
            ("explicit", "<a>16</a>", "delete", None),
            ("explicit", "", "delete", "data-missing"),
            ("trim", "<a>16</a>", "create", None),
            ("trim", "<a>1</a>", "create", "data-exists"),
            ("trim", "<a>16</a>", "delete", "data-missing"),
            ("trim", "<a>1</a>", "delete", None),
            ("report-all", "", "create", "data-exists"),
            ("report-all", "<a>16</a>", "create", "data-exists"),
            ("report-all", "", "delete", None),
            ("report-all", "<a>1</a>", "delete", None),
        ],
    )
    async def test_of_default_data(self, served: Any, basic: str, before: str, operation: str, tag: str | None) -> None:
        session = await served(basic)
        assert (await session.edit(plain(f"{before}<none>x</none>"), "running")).ok
        reply = await session.edit(plain(f'<a nc:operation="{operation}">16</a>'), "running")
        assert [error.tag for error in reply.errors] == ([] if tag is None else [tag])

    async def test_what_is_not_in_use_does_not_exist(self, served: Any) -> None:
        session = await served("report-all")
        way = f'<conditions xmlns="{DF}" xmlns:nc="{NC}">{{}}</conditions>'
        assert (await session.edit(way.format('<o nc:operation="create">o</o>'), "running")).ok
        error = (await session.edit(way.format('<e nc:operation="delete"/>'), "running")).error
        assert error.tag == "data-missing"


class TestTheAttribute:
    """RFC 6243 section 4.5.2."""

    async def test_a_tagged_reply_can_be_sent_back(self, served: Any) -> None:
        session = await served()
        assert (await session.edit(plain("<a>7</a><none>x</none>"), "running")).ok
        tagged = await read(session, "report-all-tagged")
        config = "".join(etree.tostring(child, encoding="unicode") for child in tagged.data)
        assert 'default="true"' in config
        assert (await session.edit(config, "running")).ok
        assert leafs(await read(session)) == {"a=7", "none=x"}
        copied = await session.rpc(
            f"<copy-config><target><candidate/></target><source><config>{config}</config></source></copy-config>"
        )
        assert copied.ok
        assert leafs(await session.get_config("candidate", f'<plain xmlns="{DF}"/>')) == {"a=7", "none=x"}

    async def test_it_takes_back_what_was_set(self, served: Any) -> None:
        session = await served()
        assert (await session.edit(plain("<a>7</a><many>9</many><none>x</none>"), "running")).ok
        reset = plain('<a wd:default="true">16</a><many wd:default="1">3</many>')
        assert (await session.edit(reset, "running")).ok
        found = await read(session)
        assert leafs(found) == {"none=x"}
        assert found.leafs("many") == []

    async def test_another_value_than_the_default(self, served: Any) -> None:
        session = await served()
        error = (await session.edit(plain('<a wd:default="true">7</a>'), "running")).error
        assert (error.tag, error.info) == ("invalid-value", {"bad-attribute": "default", "bad-element": "a"})
        assert "'7' is not its default (16)" in error.message

    async def test_create_where_it_is_set(self, served: Any) -> None:
        session = await served()
        assert (await session.edit(plain("<a>7</a>"), "running")).ok
        reply = await session.edit(plain('<a wd:default="true" nc:operation="create">16</a>'), "running")
        assert reply.error.tag == "data-exists"

    async def test_false_means_nothing(self, served: Any) -> None:
        session = await served()
        assert (await session.edit(plain('<a wd:default="false">7</a>'), "running")).ok
        assert leafs(await read(session)) == {"a=7"}

    @pytest.mark.parametrize("content", ['<a wd:default="yes">16</a>', '<deep wd:default="true"/>'])
    async def test_what_it_cannot_be(self, served: Any, content: str) -> None:
        session = await served()
        error = (await session.edit(plain(content), "running")).error
        assert (error.tag, error.info["bad-attribute"]) == ("bad-attribute", "default")


class TestCopying:
    """RFC 6243 section 4.5.1: the parameter is for what goes to a URL, and means nothing for a datastore."""

    async def copy(self, session: Client, target: str, mode: str | None) -> Reply:
        parameter = f'<with-defaults xmlns="{NCWD}">{mode}</with-defaults>' if mode else ""
        return await session.rpc(
            f"<copy-config><target>{target}</target><source><running/></source>{parameter}</copy-config>"
        )

    @pytest.mark.parametrize("mode", [None, "explicit", "trim", "report-all", "report-all-tagged"])
    async def test_to_a_datastore(self, served: Any, mode: str | None) -> None:
        session = await served()
        assert (await session.edit(plain("<a>16</a><none>x</none>"), "running")).ok
        assert (await self.copy(session, "<candidate/>", mode)).ok
        assert leafs(await session.get_config("candidate", f'<plain xmlns="{DF}"/>')) == {"a=16", "none=x"}

    async def test_to_a_url(self, served: Any, tmp_path: Path) -> None:
        session = await served(url=UrlSettings(schemes=("file",), folder=str(tmp_path)))
        assert (await session.edit(plain("<a>16</a><none>x</none>"), "running")).ok
        for mode, there in ((None, False), ("report-all", True)):
            assert (await self.copy(session, "<url>file:///saved.xml</url>", mode)).ok
            assert ("<p>50</p>" in (tmp_path / "saved.xml").read_text()) is there

    async def test_a_mode_that_is_not_there(self, served: Any, tmp_path: Path) -> None:
        session = await served("report-all", url=UrlSettings(schemes=("file",), folder=str(tmp_path)))
        reply = await self.copy(session, "<url>file:///saved.xml</url>", "report-all-tagged")
        assert reply.error.tag == "invalid-value"
        assert (await self.copy(session, "<candidate/>", "report-all-tagged")).ok


def test_with_ncclient(agent_thread: Callable[..., Any]) -> None:
    device = agent_thread(**SERVED)
    with manager.connect(
        host="127.0.0.1", port=device.port, username=USER, password=PASSWORD, hostkey_verify=False,
        allow_agent=False, look_for_keys=False,
    ) as session:  # fmt: skip
        select = ("subtree", f'<plain xmlns="{DF}"><p/></plain>')
        everything = session.get_config("running", filter=select, with_defaults="report-all")
        assert everything.data.findtext(f".//{{{DF}}}p") == "50"
        tagged = session.get(filter=select, with_defaults="report-all-tagged")
        assert tagged.data.find(f".//{{{DF}}}p").get(f"{{{WD}}}default") == "true"
        assert session.get_config("running", filter=select, with_defaults="trim").data.find(f".//{{{DF}}}p") is None
