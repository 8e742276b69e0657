"""Actions, and what the input of operations may refer to (RFC 7950 sections 6.4.1, 7.14, 7.15; RFC 8342 section 6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlag_agent.app import Device
from mlag_agent.errors import SchemaError
from mlag_agent.features.base import OK, Agent, Feature, Output, Reply, RpcInput, SessionInfo, StateProvider
from mlag_agent.schema.model import ModuleRequest
from netconf_client import Client
from netconf_client import Reply as Answer

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]

FARM = """
module farm {
  yang-version 1.1; namespace "urn:farm"; prefix f;
  identity crop; identity corn { base crop; }
  grouping switchable {
    container power {
      action turn { input { leaf on { type boolean; default true; } } output { leaf was { type boolean; } } }
    }
  }
  container farm {
    leaf size { type uint8; }
    uses switchable { refine "power/turn/input/on" { mandatory false; } augment "power/turn/output" {
      leaf by { type string; } } }
    container shed { presence "built"; action paint { input { leaf colour { type string; mandatory true; } } } }
    list field {
      key "row column"; must "size or not(size)";
      leaf row { type uint8; } leaf column { type identityref { base crop; } }
      leaf need { type string; mandatory true; }
      list plant { key "id"; leaf id { type int16; } action pull { output { leaf gone { type boolean; } } } }
      action water {
        input {
          must "not(litres >= 100) or ../../size > 5" { error-app-tag "flood"; error-message "a flood"; }
          leaf litres { type decimal64 { fraction-digits 1; } mandatory true; }
          leaf plant { type leafref { path "../../plant/id"; } }
          leaf tank { type leafref { path "/f:tanks/f:tank/f:name"; }
            must "/f:tanks/f:tank[f:name=current()]/f:level > 1"; }
          leaf node { type instance-identifier; }
          choice way { leaf rain { type empty; } leaf hose { type string; } }
          container options { leaf speed { type uint8; default 3; } }
        }
        output { leaf-list wet { type string; } leaf total { type uint16; mandatory true; } }
      }
      action harvest;
      notification ripe { leaf what { type string; } }
    }
  }
  container tanks { config false; list tank { key name; leaf name { type string; } leaf level { type uint8; } } }
  rpc rain { input {
    leaf tank { type leafref { path "/f:tanks/f:tank/f:name"; } }
    leaf field { type leafref { path "/f:farm/f:field/f:row"; } }
    leaf node { type instance-identifier; } } }
}
"""
BARN = """
module barn {
  yang-version 1.1; namespace "urn:barn"; prefix b;
  import farm { prefix f; }
  augment "/f:farm/f:field" { container fence { list post { key n; leaf n { type uint8; } action fix {
    output { leaf fixed { type string; } } } } } action plough; }
  augment "/f:farm/f:field/f:water/f:input" { leaf extra { type uint8; must "../f:litres"; } }
  augment "/f:farm/f:field/f:water/f:output" { leaf note { type string; } }
}
"""

Call = tuple[str, str | None, RpcInput]


class Farm:
    """A session with an agent whose actions note what they are given."""

    def __init__(self, device: Device, session: Client, calls: list[Call]) -> None:
        self.device = device
        self.session = session
        self.calls = calls

    async def act(self, content: str) -> Answer:
        return await self.session.rpc(f'<action xmlns="urn:ietf:params:xml:ns:yang:1">{content}</action>')

    async def water(self, content: str, keys: str = "<row>1</row><column>corn</column>") -> Answer:
        return await self.act(f'<farm xmlns="urn:farm"><field>{keys}<water>{content}</water></field></farm>')


def write(folder: Path) -> Path:
    folder.mkdir()
    (folder / "farm.yang").write_text(FARM)
    (folder / "barn.yang").write_text(BARN)
    return folder


FIELD = (
    '<farm xmlns="urn:farm"><size>5</size><field><row>1</row><column>corn</column><need>n</need>'
    '<plant><id>-7</id></plant><fence xmlns="urn:barn"><post><n>2</n></post></fence></field></farm>'
)


def handlers(calls: list[Call], replies: Mapping[str, Any]) -> dict[str, Any]:
    def make(name: str) -> Any:
        async def handle(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
            calls.append((name, None if rpc.instance is None else rpc.instance.path, rpc))
            return replies.get(name, OK)

        return handle

    return {name: make(name) for name in ACTIONS}


ACTIONS = (
    "/farm:farm/power/turn",
    "/farm:farm/shed/paint",
    "/farm:farm/field/water",
    "/farm:farm/field/harvest",
    "/farm:farm/field/plant/pull",
    "/farm:farm/field/barn:fence/post/fix",
    "/farm:farm/field/barn:plough",
)
REPLIES = {
    "/farm:farm/field/water": Output({"wet": ["a", "b"], "total": 7, "note": "from the barn"}),
    "/farm:farm/power/turn": Output({"was": False, "by": "me"}),
    "/farm:farm/field/plant/pull": Output({"gone": True}),
    "/farm:farm/field/barn:fence/post/fix": Output({"fixed": "yes"}),
}


@pytest.fixture
async def farm(start: Start, connect: Connect, tmp_path: Path) -> Farm:
    calls: list[Call] = []
    made = handlers(calls, REPLIES)

    async def rain(agent: Agent, session: SessionInfo, rpc: RpcInput) -> Reply:
        calls.append(("rain", None, rpc))
        return OK

    tanks = StateProvider(
        "/farm:tanks", lambda agent: {"tank": [{"name": "big", "level": 9}, {"name": "dry", "level": 0}]}
    )
    feature = Feature("farm", (ModuleRequest("farm"), ModuleRequest("barn")), {"farm:rain": rain}, made, state=(tanks,))
    device = await start(yang_dirs=(str(write(tmp_path / "yang")),), features=(feature,))
    session = await connect(device)
    assert (await session.edit(FIELD, "running")).ok
    return Farm(device, session, calls)


class TestInvoked:
    async def test_below_a_list_entry(self, farm: Farm) -> None:
        reply = await farm.water(
            "<litres>07.50</litres><plant>-7</plant><hose>h</hose><extra xmlns='urn:barn'>4</extra>",
            "<column>corn</column><row>01</row>",
        )
        assert reply.errors == []
        assert [child.tag for child in reply.root] == [
            "{urn:farm}wet",
            "{urn:farm}wet",
            "{urn:farm}total",
            "{urn:barn}note",
        ]
        ((_, path, given),) = farm.calls
        assert path == "/farm:farm/field[row='1'][column='farm:corn']"
        assert given.leaf("litres") == "7.5"
        assert given.leaf("plant") == "-7"
        assert given.leaf("extra") == "4"
        assert given.instance is not None
        assert given.instance.keys("field") == {"row": "1", "column": "farm:corn"}
        with pytest.raises(KeyError):
            given.instance.keys("plant")

    async def test_no_output_is_ok(self, farm: Farm) -> None:
        reply = await farm.act(
            '<farm xmlns="urn:farm"><field><row>1</row><column>corn</column><harvest/></field></farm>'
        )
        assert reply.ok

    async def test_in_a_nested_list(self, farm: Farm) -> None:
        reply = await farm.act(
            '<farm xmlns="urn:farm"><field><row>1</row><column>corn</column>'
            "<plant><id>-7</id><pull/></plant></field></farm>"
        )
        assert reply.leaf("gone") == "true"
        assert farm.calls[0][1] == "/farm:farm/field[row='1'][column='farm:corn']/plant[id='-7']"

    async def test_augmented(self, farm: Farm) -> None:
        entry = '<farm xmlns="urn:farm"><field><row>1</row><column>corn</column>{}</field></farm>'
        reply = await farm.act(entry.format('<fence xmlns="urn:barn"><post><n>2</n><fix/></post></fence>'))
        assert reply.leaf("fixed") == "yes"
        assert farm.calls[0][1] == "/farm:farm/field[row='1'][column='farm:corn']/barn:fence/post[n='2']"
        assert (await farm.act(entry.format('<plough xmlns="urn:barn"/>'))).ok

    async def test_of_a_grouping_below_a_container_without_data(self, farm: Farm) -> None:
        """A container without presence exists wherever its parent does."""
        reply = await farm.act('<farm xmlns="urn:farm"><power><turn/></power></farm>')
        assert (reply.leaf("was"), reply.leaf("by")) == ("false", "me")
        assert farm.calls[0][2].leaf("on") == "true"  # the default

    async def test_namespaces_left_out(self, farm: Farm) -> None:
        reply = await farm.act("<farm><power><turn><on>false</on></turn></power></farm>")
        assert reply.leaf("was") == "false"
        assert farm.device.registry.leniencies["element-without-namespace"] == 4

    async def test_one_in_a_hundred_of_entries(self, farm: Farm) -> None:
        rows = "".join(f"<field><row>{n}</row><column>corn</column><need>n</need></field>" for n in range(2, 100))
        assert (await farm.session.edit(f'<farm xmlns="urn:farm">{rows}</farm>', "running")).ok
        assert (await farm.water("<litres>1</litres>", "<row>77</row><column>corn</column>")).leaf("total") == "7"


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "tag", "bad", "path"),
        [
            ("", "missing-element", "action", None),
            ('<farm xmlns="urn:farm"/>', "missing-element", "action", "/farm:farm"),
            ('<farm xmlns="urn:farm"><field><row>1</row><harvest/></field></farm>', "missing-element", "column", "*"),
            (
                '<farm xmlns="urn:farm"><field><row>1</row><column>corn</column><harvest/><harvest/></field></farm>',
                "bad-element",
                "harvest",
                "*",
            ),
            (
                '<farm xmlns="urn:farm"><power><turn/></power><shed><paint/></shed></farm>',
                "bad-element",
                "shed",
                "/farm:farm",
            ),
            (
                '<farm xmlns="urn:farm"><power><turn/></power></farm><farm xmlns="urn:farm"><power/></farm>',
                "bad-element",
                "farm",
                None,
            ),
            ('<farm xmlns="urn:farm"><size>5</size><power><turn/></power></farm>', "bad-element", "size", "/farm:farm"),
            ('<farm xmlns="urn:farm"><barn/></farm>', "unknown-element", "barn", "/farm:farm"),
            ('<farm xmlns="urn:farm"><x xmlns="urn:x"/></farm>', "unknown-namespace", "x", "/farm:farm"),
            ('<rain xmlns="urn:farm"/>', "unknown-element", "rain", None),
            (
                '<farm xmlns="urn:farm"><field><row>1</row><column>corn</column><ripe/></field></farm>',
                "bad-element",
                "ripe",
                "*",
            ),
            ('<farm xmlns="urn:farm" y="1"><power><turn/></power></farm>', "unknown-attribute", "farm", "/farm:farm"),
        ],
    )
    async def test_what_names_no_action(self, farm: Farm, content: str, tag: str, bad: str, path: str | None) -> None:
        error = (await farm.act(content)).error
        assert (error.tag, error.type, error.info["bad-element"]) == (tag, "protocol", bad)
        if path != "*":
            assert error.path == path
        else:
            assert (error.path or "").startswith("/farm:farm/field")
        assert farm.calls == []

    @pytest.mark.parametrize(
        ("keys", "missing"),
        [
            ("<row>2</row><column>corn</column>", "/farm:farm/field[row='2'][column='farm:corn']"),
        ],
    )
    async def test_entry_that_does_not_exist(self, farm: Farm, keys: str, missing: str) -> None:
        error = (await farm.water("<litres>1</litres>", keys)).error
        assert (error.tag, error.path) == ("data-missing", missing)
        assert "water" in error.message
        assert farm.calls == []

    async def test_presence_container_that_does_not_exist(self, farm: Farm) -> None:
        call = '<farm xmlns="urn:farm"><shed><paint><colour>red</colour></paint></shed></farm>'
        error = (await farm.act(call)).error
        assert (error.tag, error.path) == ("data-missing", "/farm:farm/shed")
        assert (await farm.session.edit('<farm xmlns="urn:farm"><shed/></farm>', "running")).ok
        assert (await farm.act(call)).ok

    @pytest.mark.parametrize(
        ("content", "tag", "path"),
        [
            ("", "missing-element", "/water/litres"),
            ("<litres>x</litres>", "invalid-value", "/water/litres"),
            ("<litres>1</litres><nothing/>", "unknown-element", "/water"),
            ("<litres>1</litres><rain/><hose>h</hose>", "bad-element", "/water"),
            ("<litres>1</litres><extra xmlns='urn:barn'>900</extra>", "invalid-value", "/water/barn:extra"),
            ("<litres>1</litres><plant>8</plant>", "data-missing", "/water/plant"),
            ("<litres>1</litres><tank>none</tank>", "data-missing", "/water/tank"),
            ("<litres>1</litres><tank>dry</tank>", "operation-failed", "/water/tank"),
            ("<litres>1</litres><node>/f:tanks/f:tank[f:name='no']</node>", "data-missing", "/water/node"),
        ],
    )
    async def test_input(self, farm: Farm, content: str, tag: str, path: str) -> None:
        errors = (await farm.water(content.replace("<node>", '<node xmlns:f="urn:farm">'))).errors
        assert (errors[0].tag, errors[0].type) == (tag, "protocol")
        assert {error.path for error in errors} == {f"/farm:farm/field[row='1'][column='farm:corn']{path}"}
        assert farm.calls == []

    async def test_key_of_the_wrong_type(self, farm: Farm) -> None:
        error = (await farm.water("<litres>1</litres>", "<row>900</row><column>corn</column>")).errors[0]
        assert (error.tag, error.type) == ("invalid-value", "protocol")
        assert (error.path or "").endswith("/row")

    async def test_must_of_an_input_and_the_data_around_it(self, farm: Farm) -> None:
        """``../../size`` is a leaf of the container that the list of the action's entry stands in."""
        error = (await farm.water("<litres>200</litres>")).error
        assert (error.tag, error.app_tag) == ("operation-failed", "flood")
        assert "a flood" in error.message

    async def test_namespaces_left_out_in_strict_mode(self, start: Start, connect: Connect, tmp_path: Path) -> None:
        device = await start(yang_dirs=(str(write(tmp_path / "yang")),), modules=("barn",), strict=True)
        session = await connect(device)
        act = '<action xmlns="urn:ietf:params:xml:ns:yang:1"><farm{}><power><turn/></power></farm></action>'
        assert (await session.rpc(act.format(""))).error.tag == "unknown-namespace"
        assert (await session.rpc(act.format(' xmlns="urn:farm"'))).error.tag == "operation-not-supported"


class TestReferences:
    """What a parameter refers to is running and state, not the message alone."""

    @pytest.mark.parametrize(
        "content",
        [
            "<tank>big</tank>",
            "<tank>dry</tank>",
            "<field>1</field>",
            "<node xmlns:f='urn:farm'>/f:tanks/f:tank[f:name='big']/f:level</node>",
            "<node xmlns:f='urn:farm'>/f:farm/f:size</node>",
        ],
    )
    async def test_there(self, farm: Farm, content: str) -> None:
        assert (await farm.session.rpc(f'<rain xmlns="urn:farm">{content}</rain>')).ok
        assert len(farm.calls) == 1

    @pytest.mark.parametrize(
        "content",
        [
            "<tank>small</tank>",
            "<field>2</field>",
            "<node xmlns:f='urn:farm'>/f:tanks/f:tank[f:name='small']/f:level</node>",
            "<node xmlns:f='urn:farm'>/f:farm/f:shed</node>",
        ],
    )
    async def test_not_there(self, farm: Farm, content: str) -> None:
        error = (await farm.session.rpc(f'<rain xmlns="urn:farm">{content}</rain>')).error
        assert (error.tag, error.app_tag) == ("data-missing", "instance-required")
        assert (error.path or "").startswith("/farm:rain/")
        assert farm.calls == []

    async def test_action(self, farm: Farm) -> None:
        """The data that an action stands in need not be complete: mandatory leafs and musts of it are not its."""
        reply = await farm.water("<litres>1</litres><tank>big</tank><plant>-7</plant>")
        assert reply.leaf("total") == "7"


class TestAgreementOfCodeAndSchema:
    async def test_handler_without_action(self, start: Start, tmp_path: Path) -> None:
        feature = Feature("x", (), actions={"/farm:farm/nothing": handlers([], {})[ACTIONS[0]]})
        with pytest.raises(SchemaError, match="/farm:farm/nothing"):
            await start(yang_dirs=(str(write(tmp_path / "yang")),), modules=("barn",), features=(feature,))

    async def test_action_without_handler(self, start: Start, tmp_path: Path) -> None:
        feature = Feature("barn", (ModuleRequest("barn"),))
        with pytest.raises(SchemaError, match=r"the action /farm:farm/field/barn:.* has no handler in feature barn"):
            await start(yang_dirs=(str(write(tmp_path / "yang")),), features=(feature,))
