"""Instance-data files (RFC 9195), by the functions and by ``mlag-agent ctl``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lxml import etree
from tests.control.test_ctl import run_ctl
from tests.features.test_nmda import DF, FOLDER

from conftest import Connect, Start
from mlag_agent.app import Device
from mlag_agent.data.encode import encode_children
from mlag_agent.errors import RpcFailure
from mlag_agent.features.instance_data import NAMESPACE, load_instance_data, save_instance_data
from netconf_client import Client, channel, group

SERVED = {"yang_dirs": (FOLDER,), "modules": ("defaults", "learning")}
CONFIG = (
    group(channel(), password="secret-1")
    + f'<plain xmlns="{DF}" xmlns:d="{DF}"><a>7</a><shape>d:round</shape><many>3</many><by-user>q</by-user></plain>'
    + f'<row xmlns="{DF}"><id>2</id><label>ä &lt;&amp;</label></row>'
)


@pytest.fixture
async def device(start: Start) -> Device:
    return await start(**SERVED)


def held(device: Device) -> bytes:
    return encode_children(device.agent.stores.running, device.agent.library.tree.namespaces)


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_file_brings_back_what_was_saved(device: Device, session: Client, as_json: bool) -> None:
    assert (await session.edit(CONFIG, "running")).ok
    before = held(device)
    text = save_instance_data(device.agent, "running", as_json=as_json)
    changed = f'<plain xmlns="{DF}"><a>1</a></plain><row xmlns="{DF}"><id>9</id></row>'
    assert (await session.edit(changed, "running")).ok
    assert held(device) != before
    assert await load_instance_data(device.agent, text, "") == "running"
    assert held(device) == before


async def test_what_a_file_says_of_itself(device: Device, session: Client) -> None:
    assert (await session.edit(CONFIG, "running")).ok
    root = etree.fromstring(save_instance_data(device.agent, "running", as_json=False).encode())
    assert root.tag == f"{{{NAMESPACE}}}instance-data-set"
    assert root.findtext(f"{{{NAMESPACE}}}datastore") == "ds:running"
    assert "defaults" in [module.text for module in root.iter(f"{{{NAMESPACE}}}module")]
    body = json.loads(save_instance_data(device.agent, "running", as_json=True))[
        "ietf-yang-instance-data:instance-data-set"
    ]
    assert body["datastore"] == "ietf-datastores:running"
    assert body["content-data"]["defaults:plain"]["shape"] == "round"  # of the leaf's own module: RFC 7951 section 6.8
    assert body["content-data"]["defaults:row"] == [{"id": 2, "label": "ä <&"}]
    assert "secret-1" not in json.dumps(body)


async def test_of_operational_state_and_defaults_are_saved(device: Device) -> None:
    for as_json in (False, True):
        text = save_instance_data(device.agent, "operational", as_json=as_json)
        assert "content-id" in text
        assert "merino" in text or "bottom" in text


async def test_with_startup(start: Start, connect: Connect) -> None:
    device = await start(startup=True, **SERVED)
    session = await connect(device)
    assert (await session.edit(CONFIG, "running")).ok
    text = save_instance_data(device.agent, "running", as_json=False)
    assert await load_instance_data(device.agent, text, "startup") == "startup"
    assert (await session.get_config("startup", f'<plain xmlns="{DF}"><a/></plain>')).leafs("a") == ["7"]


def xml(content: str) -> str:
    return f'<instance-data-set xmlns="{NAMESPACE}">{content}</instance-data-set>'


def as_json(content: object) -> str:
    return json.dumps({"ietf-yang-instance-data:instance-data-set": {"content-data": content}})


class TestLoading:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "neither XML nor a JSON object"),
            ("<x/>", "the file begins with x"),
            ("{", "no JSON"),
            ("{}", 'no "ietf-yang-instance-data:instance-data-set"'),
            (xml(""), "no <content-data>"),
            (f"<!DOCTYPE x [<!ENTITY e 'v'>]>{xml('<content-data/>')}", "document type"),
            (xml("<content-schema><module>nothing@2020-01-01</module></content-schema><content-data/>"), "nothing"),
            (xml(f'<content-data><plain xmlns="{DF}"><a>300</a></plain></content-data>'), '"300": must be int8'),
            (xml(f'<content-data><plain xmlns="{DF}"><no/></plain></content-data>'), "has no node no"),
            (as_json({"defaults:plain": {"a": 300}}), "300"),
            (as_json({"defaults:plain": {"no": 1}}), "no"),
            (as_json({"defaults:state": {"s": "x"}}), "state"),
        ],
    )
    async def test_what_is_wrong(self, device: Device, session: Client, text: str, words: str) -> None:
        assert (await session.edit(CONFIG, "running")).ok
        before = held(device)
        with pytest.raises(RpcFailure) as caught:
            await load_instance_data(device.agent, text, "")
        assert words in str(caught.value)
        assert held(device) == before

    @pytest.mark.parametrize("datastore", ["candidate", "startup", "operational", "none"])
    async def test_where_it_cannot_go(self, device: Device, datastore: str) -> None:
        with pytest.raises(RpcFailure) as caught:
            await load_instance_data(device.agent, xml("<content-data/>"), datastore)
        assert caught.value.errors[0].tag == "invalid-value"

    async def test_a_lock_holds(self, device: Device, session: Client) -> None:
        assert (await session.rpc("<lock><target><running/></target></lock>")).ok
        with pytest.raises(RpcFailure) as caught:
            await load_instance_data(device.agent, xml("<content-data/>"), "running")
        assert caught.value.errors[0].tag == "in-use"


async def test_by_ctl(device: Device, session: Client, tmp_path: Path) -> None:
    assert (await session.edit(CONFIG, "running")).ok
    before = held(device)
    state = device.settings.state
    for name, options in (("a.xml", ()), ("a.json", ("--json",))):
        file = str(tmp_path / name)
        assert await run_ctl(state, "save", file, *options) == (0, f"running saved to {file}\n", "")
        assert (await session.edit(f'<plain xmlns="{DF}"><a>1</a></plain>', "running")).ok
        assert await run_ctl(state, "load", file) == (0, f"running is as {file} has it\n", "")
        assert held(device) == before
    code, _, errors = await run_ctl(state, "load", "-", stdin="<x/>")
    assert code == 4
    assert "the file begins with x" in errors
