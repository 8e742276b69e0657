"""Command lines to configuration and back: every command, alone and together, against the real schema and agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from mlag_agent.app import Device
from mlag_agent.config import DeviceSettings
from mlag_agent.datastore.payload import PayloadReader
from mlag_agent.models import FEATURES
from mlag_agent.schema.library import ModuleRequest, SchemaLibrary
from mlag_client import connect
from mlag_client.cli import cli
from mlag_client.commands import COMMANDS, VIEWS, Command, CommandSyntaxError, read_config, to_lines, translate
from mlag_client.commands.pattern import Param
from netconf_client import PASSWORD, USER

NC = "{urn:ietf:params:xml:ns:netconf:base:1.0}"


# --- what a command line can be -------------------------------------------------------------------------------------


NAMES = st.text(st.characters(codec="ascii", categories=("L", "N", "Zs"), include_characters="-_. "), min_size=1,
                max_size=31).filter(lambda text: text.strip() == text)  # fmt: skip


def values_of(param: Param) -> st.SearchStrategy[str]:
    """Canonical values of a parameter."""
    kind = param.kind
    if param.repeated and kind == "vlan":
        # In ten ranges at most, which is what one line takes.
        return st.lists(st.integers(1, 4094), min_size=1, max_size=10, unique=True).map(
            lambda numbers: " ".join(map(str, sorted(numbers)))
        )
    if param.repeated:
        return st.lists(st.sampled_from(param.choices), min_size=1, unique=True).map(lambda w: " ".join(sorted(w)))
    if param.choices:
        return st.sampled_from(param.choices)
    if kind[0].isdigit():
        low, _, high = kind.partition("-")
        return st.integers(int(low), int(high)).map(str)
    return {
        "ipv4": st.ip_addresses(v=4).map(str),
        "ipv6": st.ip_addresses(v=6).map(str),
        "mask": st.integers(1, 32).map(str),
        "name": NAMES,
        "password": st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8, max_size=16),
        "word": st.sampled_from(["Eth-Trunk1", "Eth-Trunk2", "Vlanif10", "Vbdif5", "10GE1/0/1", "LoopBack0"]),
        "delay": st.one_of(st.integers(0, 3600).map(str), st.just("immediately")),
        "vlan": st.integers(1, 4094).map(str),
    }[kind]


@st.composite
def bindings_of(draw: st.DrawFn, command: Command) -> dict[str, str]:
    """Parameters of one command, with or without the optional ones."""
    chosen = {param.name: draw(values_of(param)) for param in command.pattern.params}
    optional = [p.name for part in command.pattern.parts if hasattr(part, "parts") for p in params_of(part)]
    for name in optional:
        if draw(st.booleans()):
            chosen.pop(name, None)
    return chosen


def params_of(part: Any) -> Iterator[Param]:
    for inner in part.parts:
        if isinstance(inner, Param):
            yield inner
        elif hasattr(inner, "parts"):
            yield from params_of(inner)


def line_of(command: Command, bindings: dict[str, str]) -> str:
    return command.pattern.format(bindings)


@st.composite
def scripts(draw: st.DrawFn) -> list[str]:
    """Views, each entered with some of its commands."""
    lines: list[str] = []
    for view in VIEWS.values():
        for _ in range(draw(st.integers(0, 2)) if view.enter is not None else 1):
            if view.enter is not None:
                param = view.enter.params[0]
                lines.append(view.enter.format({param.name: draw(values_of(param))}))
            mine = [command for command in COMMANDS if command.view == view.name]
            chosen = draw(st.lists(st.sampled_from(mine), max_size=6)) if mine else []
            lines += [" " + line_of(command, draw(bindings_of(command))) for command in chosen]
            lines.append("#")
    return lines


def canonical(config: etree._Element) -> str:
    """Without operations, in one order: what the configuration is once the edit is made."""
    copy = etree.fromstring(etree.tostring(config))
    for element in copy.iter():
        element.attrib.pop(f"{NC}operation", None)
    for element in reversed(list(copy.iter())):
        element[:] = sorted(element, key=lambda child: etree.tostring(child, method="c14n"))
    return etree.tostring(copy, method="c14n").decode()


# --- both ways ------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(scripts())
def test_lines_to_configuration_and_back(script: list[str]) -> None:
    """The lines that a configuration gives make that configuration, and give themselves again."""
    config = translate(script).config()
    lines, left_out = to_lines(read_config(config))
    assert left_out == []
    again = translate(lines).config()
    assert canonical(again) == canonical(config)
    assert to_lines(read_config(again)) == (lines, [])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_undo_takes_back_what_a_command_gives(data: st.DataObject) -> None:
    command = data.draw(st.sampled_from([c for c in COMMANDS if c.undo is not None and c.off is None]))
    view = VIEWS[command.view]
    enter = []
    if view.enter is not None:
        param = view.enter.params[0]
        enter = [view.enter.format({param.name: data.draw(values_of(param))})]
    line = line_of(command, data.draw(bindings_of(command)))
    config = translate([*enter, line, f"undo {line}"]).config()
    operations = [element.get(f"{NC}operation") for element in config.iter() if element.get(f"{NC}operation")]
    assert operations
    assert set(operations) == {"remove"}


@pytest.fixture(scope="module")
def reader() -> PayloadReader:
    requests = [
        ModuleRequest("dfs-m-lag", FEATURES),
        ModuleRequest("dfs-m-lag-interfaces"),
        ModuleRequest("iana-if-type"),
        ModuleRequest("ietf-ip"),
        ModuleRequest("ietf-network-instance"),
    ]
    return PayloadReader(SchemaLibrary.load(requests))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.view}: {command.pattern.text}")
def test_every_command_fits_the_schema(reader: PayloadReader, command: Command) -> None:
    """Structure and types, set and undone, are those of the YANG modules."""
    samples = {
        "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "mask": "24", "name": "red", "password": "Secret-12",
        "word": "Eth-Trunk1", "delay": "immediately", "vlan": "10",
    }  # fmt: skip
    bindings = {
        param.name: param.choices[0] if param.choices else samples.get(param.kind, param.kind.partition("-")[2])
        for param in command.pattern.params
    }
    view = VIEWS[command.view]
    enter = [] if view.enter is None else [view.enter.format({view.enter.params[0].name: "1"})]
    line = line_of(command, bindings)
    for script in ([*enter, line], [*enter, f"undo {line}"]):
        if script[-1].startswith("undo") and command.undo is None:
            continue
        assert reader.read(translate(script).config(), strict=True)


# --- what the device does -------------------------------------------------------------------------------------------


def elements(script: str) -> list[tuple[str, str | None]]:
    """Leaf or operation, in document order."""
    config = translate(script.splitlines()).config()
    return [
        (etree.QName(e).localname, e.get(f"{NC}operation") or e.text)
        for e in config.iter()
        if e.text or e.get(f"{NC}operation")
    ]


class TestMeaning:
    def test_a_command_that_gives_a_whole_replaces_it(self) -> None:
        found = elements("dfs-group 1\n m-lag up-delay 300 auto-recovery interval 5\n m-lag up-delay 100")
        assert found == [("id", "1"), ("up-delay", "replace"), ("delay", "100")]

    def test_undone_and_set_again_is_replaced(self) -> None:
        found = elements("undo dfs-group 1\ndfs-group 1\n priority 150")
        assert found == [("dfs-group", "replace"), ("id", "1"), ("priority", "150")]

    def test_set_and_undone(self) -> None:
        assert elements("dfs-group 1\n priority 150\n undo priority") == [("id", "1"), ("priority", "remove")]

    def test_a_default_that_is_on_is_switched_off(self) -> None:
        found = elements("dfs-group 1\n undo peer-link mac-address remain enable unpaired-port")
        assert found[-1] == ("unpaired-port", "false")

    def test_undo_dfs_group_of_an_interface_is_its_membership(self) -> None:
        found = elements("interface Eth-Trunk1\n undo dfs-group 1")
        assert found[-1] == ("member", "remove")

    def test_undo_dfs_group_of_the_system_view_is_the_group(self) -> None:
        assert elements("undo dfs-group 1") == [("dfs-group", "remove"), ("id", "1")]

    def test_one_of_several_values_is_undone(self) -> None:
        found = elements("dfs-group 1\n m-lag active-standby election arp\n undo m-lag active-standby election nd")
        assert found[-2:] == [("active-standby-election", "arp"), ("active-standby-election", "remove")]

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("Eth-Trunk9", "ieee8023adLag"),
            ("Vlanif5", "l3ipvlan"),
            ("Vbdif5", "vbdif"),
            ("10GE1/0/1", "ethernetCsmacd"),
        ],
    )
    def test_the_type_of_an_interface_follows_from_its_name(self, name: str, kind: str) -> None:
        assert elements(f"interface {name}")[-1] == ("type", f"t:{kind}")

    def test_comments_and_blank_lines(self) -> None:
        assert elements("# a comment\n\n! another\nvlan 5\n") == [("vlan-id", "5")]

    @pytest.mark.parametrize(
        ("script", "message", "hint"),
        [
            ("dfs-group 2", "line 1: group '2' must be 1", ""),
            ("dfs-group 1\n priority", "line 2: incomplete command: priority", "expected there: INTEGER<1-254>"),
            (
                "arp remote-backup-rate limits 5",
                "line 1: unrecognized command at 'limits': arp remote-backup-rate limits 5",
                "expected there: limit",
            ),
            ("priority 100", "line 1: unrecognized command at 'priority': priority 100", None),
            ("dfs-group 1\n d", "line 2: incomplete command: d", "expected there: INTEGER<1-1>, detection"),
        ],
    )
    def test_a_line_that_is_no_command(self, script: str, message: str, hint: str | None) -> None:
        with pytest.raises(CommandSyntaxError) as caught:
            translate(script.splitlines())
        assert caught.value.message == message
        if hint is not None:
            assert caught.value.hint == hint

    def test_what_no_command_gives_is_named(self) -> None:
        config = etree.fromstring(
            '<config><interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface><name>10GE1/0/1</name>'
            "<type>x</type><description>uplink</description></interface></interfaces>"
            '<m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><global><mac-notify-vlanif-disable>false'
            "</mac-notify-vlanif-disable></global></m-lag><other xmlns='urn:other'/></config>"
        )
        lines, left_out = to_lines(read_config(config))
        assert lines == ["#", "interface 10GE1/0/1", "#"]
        assert left_out == ["/interfaces/interface[10GE1/0/1]/description", "/m-lag/global/mac-notify-vlanif-disable"]

    def test_a_value_that_the_command_does_not_take_is_not_lost(self) -> None:
        """Another front end may have given what this model of the command line has no word for."""
        config = etree.fromstring(
            '<config><m-lag xmlns="urn:mlag-agent:yang:dfs-m-lag"><dfs-groups><dfs-group><id>1</id>'
            "<dual-active-detection><ipv4><local-address>192.0.2.1</local-address><peer-address>192.0.2.2</peer-address>"
            "<udp-port>5000</udp-port></ipv4></dual-active-detection></dfs-group></dfs-groups></m-lag></config>"
        )
        lines, left_out = to_lines(read_config(config))
        assert lines[2] == " dual-active detection source ip 192.0.2.1 peer 192.0.2.2"
        assert left_out == ["/m-lag/dfs-groups/dfs-group[1]/dual-active-detection/ipv4/udp-port"]


# --- with an agent, and from the command line -----------------------------------------------------------------------


SCRIPT = """\
arp remote-backup-rate limit 100
m-lag forward layer-3 enhanced disable
mac-address m-lag notification vlanif disable
#
ip vpn-instance red
#
vlan 5
 m-lag peer-link reserved
#
dfs-group 1
 priority 150
 dual-active detection source ip 192.0.2.1 vpn-instance red peer 192.0.2.2 udp-port 1025 timeout 10
 dual-active detection delay 1000
 dual-active detection error-down delay 5
 peer-link source ipv6 2001:db8:1::1 peer 2001:db8:1::2 tcp-port 2048
 set lacp system-id switch-delay immediately
 m-lag up-delay 300 auto-recovery interval 10
 m-lag active-standby election arp
 m-lag active-standby election nd
 undo peer-link mac-address remain enable unpaired-port
 consistency-check enable mode strict
 consistency-check whitelist module vlan service-type port-vlan-relation vlan-configuration
#
interface Eth-Trunk1
 dfs-group 1 m-lag 1 active-standby
#
interface Eth-Trunk2
 peer-link 1
 port vlan exclude 7 to 9 4000
#
interface Vlanif10
 ip address 192.0.2.1 24
 ipv6 enable
 m-lag ip address 192.0.2.254 24
 m-lag ipv6 address fe80::1 link-local
#
"""


def test_an_agent_takes_the_lines_and_gives_them_back(agent_thread: Callable[..., Device]) -> None:
    device = agent_thread("translate", device=DeviceSettings(name="translate", switch_guard=0))
    with connect("127.0.0.1", device.port, USER, PASSWORD) as client:
        client.manager.edit_config(target="candidate", config=translate(SCRIPT.splitlines()).config())
        client.manager.commit()
        lines, left_out = to_lines(read_config(client.manager.get_config("running").data))
        assert left_out == []
        assert lines == SCRIPT.splitlines()
        undo = [
            "undo dfs-group 1" if line.startswith("dfs-group") else f"undo {line}"
            for line in lines
            if line[0] not in " #"
        ]
        client.manager.edit_config(target="candidate", config=translate(undo).config())
        client.manager.commit()
        assert to_lines(read_config(client.manager.get_config("running").data)) == ([], [])


class TestCommandLine:
    def test_there_and_back(self, tmp_path: Path) -> None:
        source = tmp_path / "lines"
        source.write_text(SCRIPT)
        there = CliRunner().invoke(cli, ["translate", "--config", str(source)])
        assert there.exit_code == 0
        back = CliRunner().invoke(cli, ["translate", "--reverse"], input=there.stdout)
        assert back.stdout == SCRIPT

    def test_the_whole_operation(self) -> None:
        done = CliRunner().invoke(cli, ["translate"], input="dfs-group 1\n")
        root = etree.fromstring(done.stdout)
        assert [etree.QName(child).localname for child in root] == [
            "target", "default-operation", "error-option", "config",
        ]  # fmt: skip

    def test_a_reply_as_it_came(self) -> None:
        reply = (
            '<rpc-reply xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><data><m-lag'
            ' xmlns="urn:mlag-agent:yang:dfs-m-lag"><global><arp-backup-rate>5</arp-backup-rate></global></m-lag>'
            "</data></rpc-reply>"
        )
        done = CliRunner().invoke(cli, ["translate", "--reverse"], input=reply)
        assert done.stdout == "arp remote-backup-rate limit 5\n#\n"

    @pytest.mark.parametrize(
        ("arguments", "text", "words"),
        [
            (["translate"], "dfs-group 2\n", "line 1: group '2' must be 1"),
            (["translate"], b"\xff\xfe", "not UTF-8"),
            (["translate", "--reverse"], "<config", "not XML"),
            (["translate", "--reverse"], "<hello/>", "no <config> or <data> in <hello>"),
        ],
    )
    def test_errors(self, arguments: list[str], text: str | bytes, words: str) -> None:
        done = CliRunner().invoke(cli, arguments, input=text)
        assert words in str(done.exception)
