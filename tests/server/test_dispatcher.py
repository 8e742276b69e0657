"""How operations are found, leniencies used or refused, bugs answered, and replies kept in order."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mlag_agent.app import Device
from mlag_agent.errors import ErrorTag, RpcError, RpcFailure, SchemaError, SettingsError
from mlag_agent.features import monitoring
from mlag_agent.features.base import Agent, Feature, Output, RpcInput, SessionInfo
from mlag_agent.schema.nodes import ModuleRequest
from netconf_client import DML, NC, NI, Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]

MODULE = """
module probe {
  yang-version 1.1;
  namespace "urn:probe";
  prefix p;
  container settings { leaf mode { type string; } }
  rpc get { input { leaf x { type string; } } }
  rpc configure {
    input {
      container outer {
        container inner { leaf number { type uint8; mandatory true; } }
        leaf-list tag { type uint16; ordered-by user; }
        list row { key "name"; leaf name { type string; } leaf size { type uint8 { range "1..9"; } } }
      }
      choice way { mandatory true; leaf road { type empty; } leaf rail { type uint8; } }
    }
    output { leaf done { type boolean; } }
  }
}
"""


@pytest.fixture
def yang_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "yang"
    folder.mkdir()
    (folder / "probe.yang").write_text(MODULE)
    return folder


@pytest.fixture
async def probe(start: Start, connect: Connect, yang_dir: Path) -> Client:
    """A session with an agent that serves the module ``probe`` too."""
    return await connect(await start(yang_dirs=(str(yang_dir),), modules=("probe",)))


async def raw(session: Client, message: str) -> object:
    session.send_message(message)
    return await session.receive()


class TestUnknown:
    async def test_operation_of_a_known_module(self, session: Client) -> None:
        error = (await session.rpc("<shut-down/>")).error
        assert (error.tag, error.type) == ("operation-not-supported", "protocol")
        assert error.info == {"bad-element": "shut-down"}
        assert "edit-config" in error.message

    async def test_namespace(self, session: Client) -> None:
        error = (await session.rpc('<save xmlns="urn:huawei:yang:huawei-cfg"/>')).error
        assert error.tag == "unknown-namespace"
        assert error.info == {"bad-element": "save", "bad-namespace": "urn:huawei:yang:huawei-cfg"}
        assert NC in error.message

    async def test_module_without_code(self, probe: Client) -> None:
        error = (await probe.rpc('<configure xmlns="urn:probe"><road/></configure>')).error
        assert error.tag == "operation-not-supported"

    async def test_notification_is_no_operation(self, session: Client) -> None:
        assert (await session.rpc(f'<m-lag xmlns="{DML}"/>')).error.tag == "operation-not-supported"


class TestAttributes:
    async def test_all_are_echoed(self, session: Client) -> None:
        session.send_message(
            f'<x:rpc xmlns:x="{NC}" xmlns:u="urn:u" message-id="a&amp;&quot;b" u:colour="red" plain="1"><x:get-config>'
            "<x:source><x:running/></x:source></x:get-config></x:rpc>"
        )
        root = (await session.receive()).root
        assert dict(root.attrib) == {"message-id": 'a&"b', "{urn:u}colour": "red", "plain": "1"}

    async def test_no_message_id(self, session: Client) -> None:
        session.send_message(f'<rpc xmlns="{NC}"><get/></rpc>')
        error = (await session.receive()).error
        assert (error.type, error.tag, error.info["bad-attribute"]) == ("rpc", "missing-attribute", "message-id")

    async def test_unknown_attribute_of_a_parameter(self, session: Client) -> None:
        reply = await session.rpc('<get-config colour="red"><source colour="red"><running/></source></get-config>')
        assert {error.tag for error in reply.errors} == {"unknown-attribute"}


UNQUALIFIED = f'<rpc xmlns:nc="{NC}" message-id="1">'


class TestLeniencies:
    async def test_what_ansible_and_ncclient_send(self, device: Device, session: Client) -> None:
        """INTEROP decision 1: each is taken, logged and counted."""
        session.send_message(
            f'<nc:rpc xmlns:nc="{NC}" message-id="1"><nc:edit-config><nc:target><nc:candidate/></nc:target>'
            f"<config>{group(channel())}</config></nc:edit-config></nc:rpc>"
        )
        assert (await session.receive()).ok
        session.send_message(
            f'<nc:rpc xmlns:nc="{NC}" message-id="2"><nc:edit-config><nc:target><nc:candidate/></nc:target>'
            f'<config><m-lag xmlns="{DML}"><dfs-groups><dfs-group operation="remove"><id>1</id></dfs-group>'
            "</dfs-groups></m-lag></config></nc:edit-config></nc:rpc>"
        )
        assert (await session.receive()).ok
        session.send_message(f'<nc:rpc xmlns:nc="{NC}" message-id="3"><discard-changes/></nc:rpc>')
        assert (await session.receive()).ok
        session.send_message(
            f'<nc:rpc xmlns:nc="{NC}" message-id="4"><lock><target><candidate/></target></lock></nc:rpc>'
        )
        assert (await session.receive()).ok
        session.send_message('<rpc message-id="5"><get-config><source><running/></source></get-config></rpc>')
        assert (await session.receive()).data is not None
        counted = device.registry.leniencies
        assert counted["element-without-namespace"] > 0
        assert counted["operation-without-namespace"] == 1
        assert counted["operation-element-without-namespace"] == 3
        assert counted["unqualified-rpc"] == 1

    async def test_filter_nodes_without_their_namespace(self, device: Device, session: Client) -> None:
        await session.edit(group(channel()), "running")
        found = await session.get_config("running", "<m-lag/>")
        assert found.leaf("tcp-port") == "2048"
        assert device.registry.leniencies == {"filter-node-in-netconf-namespace": 1}
        found = await session.get_config("running", '<m-lag xmlns=""/>')
        assert found.leaf("tcp-port") == "2048"
        assert device.registry.leniencies == {"filter-node-in-netconf-namespace": 1}

    async def test_nothing_is_counted_for_a_proper_client(self, device: Device, session: Client) -> None:
        await session.edit(group(channel()))
        await session.commit()
        await session.get_config("running", f'<m-lag xmlns="{DML}"/>')
        await session.get()
        assert not device.registry.leniencies

    async def test_they_are_logged(self, session: Client, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "mlag_agent"):
            await session.get_config("running", "<m-lag/>")
        assert "filter-node-in-netconf-namespace" in caplog.text


class TestStrict:
    @pytest.fixture
    async def strict(self, start: Start, connect: Connect) -> Client:
        return await connect(await start(strict=True))

    async def test_proper_requests_work(self, strict: Client) -> None:
        assert (await strict.edit(group(channel()) + vpn("red"))).ok
        assert (await strict.commit()).ok
        assert (await strict.get_config("running", f'<m-lag xmlns="{DML}"/>')).leaf("tcp-port") == "2048"
        # No namespace at all is RFC 6241's own wildcard.
        assert (await strict.get_config("running", '<m-lag xmlns=""/>')).leaf("tcp-port") == "2048"

    @pytest.mark.parametrize(
        ("operation", "expected"),
        [
            (
                f"<nc:edit-config><nc:target><nc:candidate/></nc:target><config>{vpn('red')}</config></nc:edit-config>",
                NC,
            ),
            ("<discard-changes/>", NC),
            ("<nc:lock><target><nc:running/></target></nc:lock>", NC),
            (
                "<nc:edit-config><nc:target><nc:candidate/></nc:target><nc:config><m-lag/></nc:config></nc:edit-config>",
                DML,
            ),
            (
                "<nc:edit-config><nc:target><nc:candidate/></nc:target><nc:config>"
                f'<network-instances xmlns="{NI}" operation="remove"/></nc:config></nc:edit-config>',
                NC,
            ),
            ("<nc:get><nc:filter><nc:m-lag/></nc:filter></nc:get>", DML),
        ],
    )
    async def test_the_expected_namespace_is_named(self, strict: Client, operation: str, expected: str) -> None:
        strict.send_message(f'<nc:rpc xmlns:nc="{NC}" message-id="1">{operation}</nc:rpc>')
        errors = (await strict.receive()).errors
        assert errors
        assert any(expected in error.message for error in errors)

    async def test_unqualified_rpc(self, strict: Client) -> None:
        strict.send_message('<rpc message-id="1"><get/></rpc>')
        error = (await strict.receive()).error
        assert (error.tag, error.type) == ("unknown-namespace", "rpc")
        assert NC in error.message

    async def test_nothing_is_counted(self, start: Start, connect: Connect) -> None:
        device = await start("other", strict=True)
        session = await connect(device)
        await session.rpc("<get><filter><m-lag/></filter></get>")
        assert not device.registry.leniencies


class TestUnqualifiedName:
    async def test_netconf_wins_over_another_module(self, probe: Client) -> None:
        probe.send_message(f'<nc:rpc xmlns:nc="{NC}" message-id="1"><get/></nc:rpc>')
        assert (await probe.receive()).data is not None

    async def test_a_name_that_nobody_has(self, session: Client) -> None:
        session.send_message(f'<nc:rpc xmlns:nc="{NC}" message-id="1"><nonsense/></nc:rpc>')
        assert (await session.receive()).error.tag == "unknown-namespace"


Given = list[RpcInput]


@pytest.fixture
async def given(start: Start, connect: Connect, yang_dir: Path) -> tuple[Client, Given]:
    """A session, and the inputs that the handler of probe's ``configure`` has been given."""
    inputs: Given = []

    async def handle(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Output:
        inputs.append(rpc)
        return Output({"done": True})

    feature = Feature("probe", (ModuleRequest("probe"),), {"probe:configure": handle, "probe:get": handle})
    return await connect(await start(yang_dirs=(str(yang_dir),), features=(feature,))), inputs


def configure(content: str) -> str:
    return f'<configure xmlns="urn:probe">{content}</configure>'


class TestParameters:
    async def test_containers_lists_and_leaf_lists(self, given: tuple[Client, Given]) -> None:
        session, inputs = given
        rows = "<row><name>b</name><size>2</size></row><row><name>a</name></row>"
        content = f"<outer><inner><number>+07</number></inner><tag>5</tag><tag>03</tag>{rows}</outer><rail>1</rail>"
        reply = await session.rpc(configure(content))
        assert reply.leaf("done") == "true"
        outer = inputs[0].container("outer")
        assert outer is not None
        inner = outer.container("inner")
        assert inner is not None
        assert inner.leaf("number") == "7"
        assert outer.values("tag") == ["5", "3"]
        assert [(row.leaf("name"), row.leaf("size")) for row in outer.entries("row")] == [("b", "2"), ("a", None)]
        assert outer.entries("row")[0].names()
        assert "rail" in inputs[0]
        assert "road" not in inputs[0]
        with pytest.raises(KeyError):
            inputs[0].leaf("colour")

    @pytest.mark.parametrize(
        ("content", "tag", "path"),
        [
            ("<outer><inner><number>300</number></inner></outer><road/>", "invalid-value", "outer/inner/number"),
            ("<outer><tag>5</tag><tag>x</tag></outer><road/>", "invalid-value", "outer/tag[.='x']"),
            (
                "<outer><row><name>a</name><size>10</size></row></outer><road/>",
                "invalid-value",
                "outer/row[name='a']/size",
            ),
            ("<outer><row><size>1</size></row></outer><road/>", "missing-element", "outer/row"),
            ("<outer><inner/></outer><road/>", "missing-element", "outer/inner/number"),
            ("<outer><inner><number>1</number><x/></inner></outer><road/>", "unknown-element", "outer/inner"),
            ("<outer><inner><number>1</number></inner></outer><road/><rail>1</rail>", "bad-element", None),
            ("<outer><inner><number>1</number></inner></outer>", "missing-element", None),
        ],
    )
    async def test_errors_name_what_the_client_sent(
        self, given: tuple[Client, Given], content: str, tag: str, path: str | None
    ) -> None:
        session, inputs = given
        error = (await session.rpc(configure(content))).error
        assert (error.tag, error.type) == (tag, "protocol")
        assert error.path == "/probe:configure" + (f"/{path}" if path else "")
        assert error.namespaces["probe"] == "urn:probe"
        assert "input" not in error.message
        assert inputs == []


class TestBugs:
    @pytest.mark.parametrize(
        "bug",
        [
            RuntimeError("the password is hunter22"),
            KeyError("x"),
            RecursionError("deep"),
            RpcFailure(RpcError(ErrorTag.OPERATION_FAILED, "no such prefix", path="/no-such-module:x")),
        ],
    )
    async def test_answered_and_logged(
        self,
        device: Device,
        session: Client,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        bug: Exception,
    ) -> None:
        def broken(*args: object) -> None:
            raise bug

        monkeypatch.setattr(Agent, "state", broken)
        error = (await session.rpc("<get/>")).error
        assert error.tag == "operation-failed"
        assert "log" in error.message
        assert "hunter22" not in error.message
        assert "Traceback" in caplog.text
        assert (await session.get_config()).data is not None


class TestAgreementOfCodeAndSchema:
    async def test_handler_without_rpc(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        feature = monitoring.FEATURE
        rpcs = {
            **feature.rpcs,
            "ietf-netconf-monitoring:no-such-rpc": feature.rpcs["ietf-netconf-monitoring:get-schema"],
        }
        monkeypatch.setattr(monitoring, "FEATURE", Feature("monitoring", feature.modules, rpcs))
        with pytest.raises(SchemaError, match="no-such-rpc"):
            await start()

    async def test_rpc_without_handler(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(monitoring, "FEATURE", Feature("monitoring", monitoring.FEATURE.modules))
        with pytest.raises(SchemaError, match="get-schema has no handler"):
            await start()


class TestExtraModules:
    async def test_served(self, probe: Client) -> None:
        assert (await probe.edit('<settings xmlns="urn:probe"><mode>fast</mode></settings>', "running")).ok
        assert (await probe.get('<settings xmlns="urn:probe"/>')).leaf("mode") == "fast"

    async def test_a_built_in_module_again(self, start: Start, connect: Connect) -> None:
        """Its features must stay: ietf-netconf without :candidate would be another server."""
        session = await connect(await start(modules=("ietf-netconf",)))
        assert (await session.edit(group(channel()))).ok
        assert (await session.commit()).ok

    async def test_features_of_a_built_in_module(self, start: Start) -> None:
        with pytest.raises(SettingsError, match="ietf-interfaces"):
            await start(modules=("ietf-interfaces:if-mib",))

    async def test_twice(self, start: Start, connect: Connect, yang_dir: Path) -> None:
        session = await connect(await start(yang_dirs=(str(yang_dir),), modules=("probe", "probe")))
        assert (await session.edit('<settings xmlns="urn:probe"/>')).ok

    @pytest.mark.parametrize("name", ["", ":x", "no such", "no-such-module"])
    async def test_no_module(self, start: Start, name: str) -> None:
        with pytest.raises((SchemaError, SettingsError)):
            await start(modules=(name,))


class TestPipelining:
    async def test_answered_in_order(self, session: Client) -> None:
        count = 200
        for number in range(count):
            match number % 4:
                case 0:
                    session.send(
                        f"<edit-config><target><candidate/></target><config>{vpn(f'i{number}')}</config></edit-config>"
                    )
                case 1:
                    session.send("<get-config><source><candidate/></source></get-config>")
                case 2:
                    session.send("<nonsense/>")
                case _:
                    session.send("<commit/>")
        for number in range(count):
            reply = await session.receive()
            assert reply.root.get("message-id") == str(number + 1)
            if number % 4 == 1:
                assert f"i{number - 1}" in reply.leafs("name")
            elif number % 4 == 2:
                assert reply.errors
            else:
                assert reply.ok
