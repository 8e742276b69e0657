"""Displays of the consistency check, to the letter, from a pair that differs."""

from __future__ import annotations

from lxml import etree

from mlag_client.commands.tree import DML, Node, read_config
from mlag_client.shell import display_consistency
from mlag_client.shell.registered import DISPLAYS

DATA = etree.fromstring(f"""
<data><m-lag xmlns="{DML}"><dfs-groups><dfs-group><id>1</id><state>
  <m-lags><m-lag><node-id>1</node-id><id>10</id><if-name>Eth-Trunk10</if-name><port-state>up</port-state>
    <local-status>active</local-status><consistency>failed</consistency><failed-code>7</failed-code>
    <failed-code>8</failed-code></m-lag></m-lags>
  <nodes><node><node-id>1</node-id><is-local>true</is-local></node></nodes>
  <consistency><local-mode>strict</local-mode><peer-mode>loose</peer-mode>
    <send-enabled>true</send-enabled><receive-enabled>true</receive-enabled><result>failed</result>
    <item><scope>global</scope><name>stp-mode</name><type>1</type><local-value>rstp</local-value>
      <consistent>false</consistent></item>
    <item><scope>m-lag 10</scope><name>lacp-m-lag-priority</name><type>1</type><local-value>100</local-value>
      <peer-value>200</peer-value><consistent>false</consistent></item>
    <item><scope>peer-link</scope><name>exclude-vlan</name><type>2</type><local-value>7</local-value>
      <peer-value>7</peer-value><consistent>true</consistent></item>
    <item-statistics><name>stp-mode</name><sent>3</sent><failed>2</failed></item-statistics>
  </consistency></state></dfs-group></dfs-groups></m-lag></data>""")

RUNNING = read_config(
    etree.fromstring(f"""
<data><m-lag xmlns="{DML}"><dfs-groups><dfs-group><id>1</id><consistency-check><whitelist>
  <vlanif>ipv4-address</vlanif></whitelist></consistency-check></dfs-group></dfs-groups></m-lag></data>""")
)


def shown(line: str, running: Node = RUNNING) -> list[str]:
    for display in DISPLAYS:
        match, _ = display.pattern.match(line.split())
        if match is not None:
            return display.show(running, DATA, match.bindings).splitlines()
    raise AssertionError(f"no display for {line}")


def test_global() -> None:
    ruler = "-" * 90
    assert shown("display dfs-group consistency-check global") == [
        ruler, "Configuration             Type  Local value                   Peer value", ruler,
        "STP Mode                  1     rstp                          --", ruler,
    ]  # fmt: skip


def test_interfaces() -> None:
    lines = shown("display dfs-group consistency-check interface m-lag 10")
    assert lines[3] == "LACP M-LAG Priority       1     100                           200"
    lines = shown("display dfs-group consistency-check interface peer-link 1")
    assert lines[3] == "Exclude VLAN              2     7                             7"


def test_status() -> None:
    assert shown("display dfs-group consistency-check status") == [
        "Local Status   : Enable", "Peer Status    : Enable", "-" * 60,
        "Configuration                 Send times      Failed times", "-" * 60,
        "STP Mode                      3               2", "-" * 60,
    ]  # fmt: skip


def test_packets() -> None:
    assert shown("display dfs-group consistency-check packet configuration") == ["Receive : Enable", "Send    : Enable"]


def test_whitelist() -> None:
    lines = shown("display m-lag consistency-check whitelist status")
    assert lines[1].split() == ["module", "service-type", "whitelist"]
    assert [line for line in lines if line.endswith("Y")] == ["            ipv4-address                Y"]
    assert len(lines) == 4 + sum(map(len, display_consistency._WHITELIST.values()))


def test_the_group_names_what_differs() -> None:
    lines = shown("display dfs-group 1")
    assert [line.partition(":")[2].strip() or line.strip() for line in lines[-4:]] == [
        "failed", "STP Mode (global)", "LACP M-LAG Priority (m-lag 10)", "--",
    ]  # fmt: skip


def test_brief_names_the_codes() -> None:
    lines = shown("display dfs-group 1 m-lag brief")
    assert lines[4].endswith("failed(7,8)")
    assert lines[-3:] == ["Failed reason:", "  7  : LACP system ID", "  8  : LACP priority"]
