"""edit-data, and the datastore leaf of lock, unlock and validate (RFC 8526 sections 3.1.2 to 3.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mlag_agent.app import Device
from mlag_agent.config import UrlSettings
from netconf_client import NC, Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]

NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DS = 'xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores"'
FD = 'xmlns:fd="urn:ietf:params:xml:ns:yang:ietf-factory-default"'


def edit_data(datastore: str, content: str, default: str | None = None) -> str:
    operation = "" if default is None else f"<default-operation>{default}</default-operation>"
    inner = content if content.startswith("<url>") else f"<config>{content}</config>"
    return f'<edit-data xmlns="{NMDA}" {DS} {FD}><datastore>{datastore}</datastore>{operation}{inner}</edit-data>'


def on(operation: str, datastore: str, holder: str = "target") -> str:
    leaf = f'<datastore xmlns="{NMDA}" {DS} {FD}>{datastore}</datastore>'
    return f"<{operation}><{holder}>{leaf}</{holder}></{operation}>"


@pytest.fixture
async def device(start: Start, tmp_path: Path) -> Device:
    return await start(startup=True, url=UrlSettings(schemes=("file",), folder=str(tmp_path)))


async def names(session: Client, source: str = "running") -> list[str]:
    return (await session.get_config(source)).leafs("name")


@pytest.mark.parametrize("datastore", ["running", "candidate", "startup"])
class TestWritable:
    async def test_merge(self, session: Client, datastore: str) -> None:
        for name in ("red", "blue"):
            assert (await session.rpc(edit_data(f"ds:{datastore}", vpn(name)))).ok
        assert await names(session, datastore) == ["blue", "red"]
        if datastore != "running":
            assert await names(session) == []

    async def test_default_operation(self, session: Client, datastore: str) -> None:
        await session.rpc(edit_data(f"ds:{datastore}", vpn("red")))
        assert (await session.rpc(edit_data(f"ds:{datastore}", vpn("blue"), "replace"))).ok
        assert await names(session, datastore) == ["blue"]
        assert (await session.rpc(edit_data(f"ds:{datastore}", vpn("red"), "none"))).error.tag == "data-missing"
        deleted = vpn("blue").replace("<network-instance>", f'<network-instance xmlns:n="{NC}" n:operation="delete">')
        assert (await session.rpc(edit_data(f"ds:{datastore}", deleted, "none"))).ok
        assert await names(session, datastore) == []

    async def test_wrong_values(self, session: Client, datastore: str) -> None:
        wrong = group(channel(port=99999))
        assert (await session.rpc(edit_data(f"ds:{datastore}", vpn("red") + wrong))).errors[0].tag == "invalid-value"
        assert await names(session, datastore) == []

    async def test_constraints(self, session: Client, datastore: str) -> None:
        """The candidate's are checked at commit, those of the others at once (RFC 7950 section 8.3.3)."""
        incomplete = group("<ipv6><tcp-port>2048</tcp-port></ipv6>")
        reply = await session.rpc(edit_data(f"ds:{datastore}", incomplete))
        if datastore == "candidate":
            assert reply.ok
        else:
            assert {error.tag for error in reply.errors} == {"data-missing"}

    async def test_url(self, session: Client, datastore: str, tmp_path: Path) -> None:
        (tmp_path / "red.xml").write_text(f'<config xmlns="{NC}">{vpn("red")}</config>')
        assert (await session.rpc(edit_data(f"ds:{datastore}", "<url>file:///red.xml</url>"))).ok
        assert await names(session, datastore) == ["red"]

    async def test_lock(self, device: Device, session: Client, connect: Connect, datastore: str) -> None:
        other = await connect(device)
        assert (await session.rpc(on("lock", f"ds:{datastore}"))).ok
        refused = await other.rpc(edit_data(f"ds:{datastore}", vpn("red")))
        assert (refused.error.tag, refused.error.info) == ("in-use", {"session-id": str(session.session_id)})
        assert (await other.rpc(f"<lock><target><{datastore}/></target></lock>")).error.tag == "lock-denied"
        assert (await session.rpc(edit_data(f"ds:{datastore}", vpn("red")))).ok
        assert (await session.rpc(on("unlock", f"ds:{datastore}"))).ok
        assert (await other.rpc(on("lock", f"ds:{datastore}"))).ok

    async def test_validate(self, session: Client, datastore: str) -> None:
        assert (await session.rpc(on("validate", f"ds:{datastore}", "source"))).ok
        if datastore == "candidate":
            await session.rpc(edit_data("ds:candidate", group("<ipv6><tcp-port>2048</tcp-port></ipv6>")))
            reply = await session.rpc(on("validate", "ds:candidate", "source"))
            assert {error.tag for error in reply.errors} == {"data-missing"}


@pytest.mark.parametrize("datastore", ["ds:operational", "ds:intended", "fd:factory-default"])
async def test_what_cannot_be_written(session: Client, datastore: str) -> None:
    for operation in (edit_data(datastore, vpn("red")), on("lock", datastore), on("unlock", datastore)):
        error = (await session.rpc(operation)).error
        assert (error.tag, error.type) == ("invalid-value", "protocol")
        assert "ds:" not in error.message
    # validate is for every configuration datastore, and factory-default is one.
    assert (await session.rpc(on("validate", datastore, "source"))).ok == (datastore == "fd:factory-default")


async def test_running_that_cannot_be_written(start: Start, connect: Connect) -> None:
    session = await connect(await start("other", writable_running=False))
    error = (await session.rpc(edit_data("ds:running", vpn("red")))).error
    assert error.tag == "invalid-value"
    assert "ietf-datastores:candidate" in error.message
    assert (await session.rpc(edit_data("ds:startup", vpn("red")))).error.tag == "invalid-value"
    assert (await session.rpc(on("lock", "ds:running"))).ok


async def test_no_content(session: Client) -> None:
    reply = await session.rpc(f'<edit-data xmlns="{NMDA}" {DS}><datastore>ds:running</datastore></edit-data>')
    assert {error.tag for error in reply.errors} == {"missing-element"}


MODULE = """
module rows {
  yang-version 1.1; namespace "urn:test:rows"; prefix r;
  container rows { list row { key "id"; leaf id { type uint16; } leaf text { type string; } } }
}
"""


def rows(*content: tuple[int, str]) -> str:
    inner = "".join(f"<row><id>{number}</id><text>{text}</text></row>" for number, text in content)
    return f'<rows xmlns="urn:test:rows">{inner}</rows>'


async def test_only_the_entry_that_changes_is_checked(
    start: Start, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with edit-config, and with a partial lock on another part (ARCHITECTURE section 6)."""
    (tmp_path / "rows.yang").write_text(MODULE)
    device = await start("other", yang_dirs=(str(tmp_path),), modules=("rows",))
    session, other = await connect(device), await connect(device)
    assert (await session.edit(rows(*((number, "x") for number in range(500))), "running")).ok
    lock = '<partial-lock xmlns="urn:ietf:params:xml:ns:netconf:partial-lock:1.0"><select>//row[id=8]</select>'
    assert not (await other.rpc(f"{lock}</partial-lock>")).errors
    handed: list[str] = []
    engine = device.agent.library.engine
    real = engine.validate

    def validate(document: str, *arguments: object, **options: object) -> None:
        handed.append(document)
        real(document, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "validate", validate)
    assert (await session.edit(rows((7, "y")), "running")).ok
    assert (await session.rpc(edit_data("ds:running", rows((7, "z"))))).ok
    assert handed == [rows((7, "y")), rows((7, "z"))]
    assert (await session.rpc(edit_data("ds:running", rows((8, "z"))))).error.app_tag == "locked"
