"""Each rule of the command pages 'peer-link source ip(v6) tcp-port', over SSH, with ncclient and two of its handlers.

``docs/command-page.md`` says where each sentence of the page went.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import ncclient.transport.session
import pytest
from ncclient import manager
from ncclient.operations import RPCError

from mlag_agent.app import Device
from mlag_agent.models import MODELS
from netconf_client import DML, NC, PASSWORD, USER, channel, group, vpn

AgentThread = Callable[..., Device]
GROUP = "/dfs-m-lag:m-lag/dfs-groups/dfs-group[id='1']"
SOURCE = f"{GROUP}/peer-link-source"


# Its sender looks for work ten times a second, which is most of what these tests would spend.
TICK = 0.002


@pytest.fixture(scope="module", autouse=True)
def quick_ncclient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ncclient.transport.session, "TICK", TICK)
        yield


class Ncclient:
    """A session of ncclient, and the words of the tests."""

    def __init__(self, port: int, handler: str) -> None:
        self.manager: Any = manager.connect(
            host="127.0.0.1", port=port, username=USER, password=PASSWORD, hostkey_verify=False,
            allow_agent=False, look_for_keys=False, device_params={"name": handler},
        )  # fmt: skip

    def edit(self, config: str, target: str = "candidate", **options: str) -> None:
        self.manager.edit_config(target=target, config=f"<config>{config}</config>", **options)

    def set(self, config: str) -> None:
        self.edit(config)
        self.manager.commit()

    def refused(self, config: str) -> list[Any]:
        """The errors that an edit of the candidate or its commit gets; nothing of it is in force then."""
        before = str(self.manager.get_config(source="running").data_xml)
        with pytest.raises(RPCError) as caught:
            self.set(config)
        assert self.manager.get_config(source="running").data_xml == before
        self.manager.discard_changes()
        error = caught.value
        return list(error.errors) if getattr(error, "errors", None) else [error]

    def leaf(self, name: str, source: str = "running") -> str | None:
        found = self.manager.get_config(source=source).data.find(f".//{{{DML}}}{name}")
        return None if found is None else str(found.text)

    def reset(self) -> None:
        self.manager.discard_changes()
        self.edit("", "running", default_operation="replace")


def read(errors: list[Any]) -> set[tuple[str, str | None, str | None]]:
    return {(error.tag, error.app_tag, error.path) for error in errors}


@pytest.fixture(scope="module", params=["default", "huaweiyang"])
def open_session(request: pytest.FixtureRequest, agent_thread: AgentThread) -> Iterator[Callable[..., Ncclient]]:
    """``open_session(model=...)``: the module's session with its agent of those options."""
    sessions: dict[int, Ncclient] = {}

    def begin(**options: Any) -> Ncclient:
        port = agent_thread(f"device-{options.get('model', 'usual')}".replace(":", "-"), **options).port
        if port not in sessions:
            sessions[port] = Ncclient(port, request.param)
        return sessions[port]

    yield begin
    for session in sessions.values():
        session.manager.close_session()


@pytest.fixture
def session(open_session: Callable[..., Ncclient]) -> Iterator[Ncclient]:
    ours = open_session()
    yield ours
    ours.reset()


V4 = {"family": "ipv4"}


class TestExample:
    def test_ipv6(self, session: Ncclient) -> None:
        session.set(group(channel("2001:db8:1::1", "2001:db8:1::2", 2048)))
        assert session.leaf("local-address") == "2001:db8:1::1"
        assert session.leaf("peer-address") == "2001:db8:1::2"
        assert session.leaf("tcp-port") == "2048"

    def test_ipv4(self, session: Ncclient) -> None:
        session.set(group(channel("10.1.1.1", "10.1.1.2", 2048, **V4)))
        assert session.leaf("local-address") == "10.1.1.1"

    def test_undo(self, session: Ncclient) -> None:
        session.set(group(channel()))
        session.set(group(f'<ipv6 xmlns:nc="{NC}" nc:operation="delete"/>'))
        assert session.leaf("tcp-port") is None

    def test_by_default_there_is_no_channel(self, session: Ncclient) -> None:
        session.set(group())
        state = session.manager.get(filter=("subtree", f'<m-lag xmlns="{DML}"/>')).data
        assert state.findtext(f".//{{{DML}}}sync-channel/{{{DML}}}down-reason") == "unconfigured"

    @pytest.mark.parametrize("id_", ["2", "0", "256"])
    def test_only_group_1(self, session: Ncclient, id_: str) -> None:
        (error,) = session.refused(group(channel(), id_=id_))
        assert error.tag == "invalid-value"
        assert f'"{id_}"' in error.message

    def test_group_id_has_an_app_tag(self, session: Ncclient) -> None:
        (error,) = session.refused(group(id_=2))
        assert error.app_tag == "dfs-group-id"

    def test_a_second_group(self, session: Ncclient) -> None:
        session.set(group(channel()))
        assert {error.tag for error in session.refused(group(id_=2))} == {"invalid-value"}


# --- addresses ----------------------------------------------------------------------------------------------

GOOD6 = ["2001:db8::1", "2001:DB8::1", "2001:0db8:0:0:0:0:0:1", "fd00::1", "fc00:1::2", "ff::1", "fe7f::1", "fec0::1",
         "::2", "64:ff9b::1", "1::"]  # fmt: skip
BAD6 = [
    ("fe80::1", "address-link-local"),
    ("FE80::1", "address-link-local"),
    ("fe80:0:0:0:0:0:0:1", "address-link-local"),
    ("FEBF:ffff::1", "address-link-local"),
    ("ff02::1", "address-multicast"),
    ("FF0E::101", "address-multicast"),
    ("ff00:0:0:0:0:0:0:0", "address-multicast"),
    ("::", "address-unspecified"),
    ("0:0:0:0:0:0:0:0", "address-unspecified"),
    ("0::0", "address-unspecified"),
    ("::0.0.0.0", "address-unspecified"),
    ("::1", "address-loopback"),
    ("0:0:0:0:0:0:0:1", "address-loopback"),
    ("0000:0000:0000:0000:0000:0000:0000:0001", "address-loopback"),
    ("::0.0.0.1", "address-loopback"),
    ("::ffff:127.0.0.1", "address-ipv4-mapped"),
    ("::FFFF:7f00:1", "address-ipv4-mapped"),
    ("0:0:0:0:0:ffff:10.1.1.1", "address-ipv4-mapped"),
]
NOT6 = ["10.1.1.1", "2001:db8::1%eth0", "fe80::1%1", "2001:db8::g", "2001:db8::1/64", "2001::db8::1", ":1", "", "word"]
GOOD4 = ["1.0.0.1", "10.1.1.1", "126.255.255.254", "128.0.0.1", "172.16.0.1", "192.168.1.1", "223.255.255.254",
         "169.254.1.1"]  # fmt: skip
BAD4 = [
    ("127.0.0.1", "address-loopback"),
    ("127.255.255.254", "address-loopback"),
    ("224.0.0.1", "address-class"),
    ("239.255.255.255", "address-class"),
    ("240.0.0.1", "address-class"),
    ("255.255.255.255", "address-class"),
    ("0.0.0.0", "address-class"),
    ("0.1.2.3", "address-class"),
]
NOT4 = ["2001:db8::1", "10.1.1", "10.1.1.256", "10.1.1.1/24", "10.1.1.1%eth0", "0x0a.1.1.1", "", "word"]


def at(leaf: str, value: str, family: str) -> str:
    """A channel whose other address is a good one."""
    other = "2001:db8:9::9" if family == "ipv6" else "10.9.9.9"
    addresses = (value, other) if leaf == "local-address" else (other, value)
    return group(channel(*addresses, family=family))


@pytest.mark.parametrize("leaf", ["local-address", "peer-address"])
class TestAddresses:
    @pytest.mark.parametrize(("value", "app_tag"), BAD6)
    def test_ipv6_refused(self, session: Ncclient, leaf: str, value: str, app_tag: str) -> None:
        (error,) = session.refused(at(leaf, value, "ipv6"))
        assert (error.tag, error.app_tag, error.path) == ("operation-failed", app_tag, f"{SOURCE}/ipv6/{leaf}")
        assert error.message.startswith(f'{leaf} "')

    @pytest.mark.parametrize(("value", "app_tag"), BAD4)
    def test_ipv4_refused(self, session: Ncclient, leaf: str, value: str, app_tag: str) -> None:
        (error,) = session.refused(at(leaf, value, "ipv4"))
        assert (error.tag, error.app_tag, error.path) == ("operation-failed", app_tag, f"{SOURCE}/ipv4/{leaf}")
        assert error.message.startswith(f'{leaf} "{value}": ')

    @pytest.mark.parametrize(
        ("family", "value"), [*(("ipv6", value) for value in NOT6), *(("ipv4", value) for value in NOT4)]
    )
    def test_not_an_address(self, session: Ncclient, leaf: str, family: str, value: str) -> None:
        (error,) = session.refused(at(leaf, value, family))
        assert (error.tag, error.path) == ("invalid-value", f"{SOURCE}/{family}/{leaf}")
        assert error.message.startswith(f'{leaf} "{value}": must be ')

    @pytest.mark.parametrize(
        ("family", "value"), [*(("ipv6", value) for value in GOOD6), *(("ipv4", value) for value in GOOD4)]
    )
    def test_accepted(self, session: Ncclient, leaf: str, family: str, value: str) -> None:
        session.edit(at(leaf, value, family))
        session.manager.validate(source="candidate")

    def test_missing(self, session: Ncclient, leaf: str) -> None:
        config = at(leaf, "2001:db8::1", "ipv6").replace(f"<{leaf}>2001:db8::1</{leaf}>", "")
        (error,) = session.refused(config)
        assert (error.tag, error.path) == ("data-missing", f"{SOURCE}/ipv6/{leaf}")


class TestEqualAddresses:
    @pytest.mark.parametrize(
        ("local", "peer"),
        [
            ("2001:db8:1::1", "2001:db8:1::1"),
            ("2001:db8:1::1", "2001:DB8:1::1"),
            ("2001:db8:1::1", "2001:0db8:0001:0000:0000:0000:0000:0001"),
            ("2001:db8:1:0::1", "2001:db8:1::0.0.0.1"),
        ],
    )
    def test_ipv6(self, session: Ncclient, local: str, peer: str) -> None:
        (error,) = session.refused(group(channel(local, peer)))
        assert (error.tag, error.app_tag, error.path) == (
            "operation-failed", "peer-address-equals-local-address", f"{SOURCE}/ipv6",
        )  # fmt: skip
        assert "2001:db8:1::1" in error.message

    def test_ipv4(self, session: Ncclient) -> None:
        (error,) = session.refused(group(channel("10.1.1.1", "10.1.1.1", **V4)))
        assert (error.app_tag, error.path) == ("peer-address-equals-local-address", f"{SOURCE}/ipv4")


class TestFamilies:
    """Either form can be configured, not both: the second is refused and does not replace the first."""

    both = channel() + channel("10.1.1.1", "10.1.1.2", family="ipv4")

    def test_together(self, session: Ncclient) -> None:
        assert read(session.refused(group(self.both))) == {
            ("operation-failed", "peer-link-source-exclusive", f"{SOURCE}/ipv4"),
            ("operation-failed", "peer-link-source-exclusive", f"{SOURCE}/ipv6"),
        }

    def test_one_after_the_other(self, session: Ncclient) -> None:
        session.set(group(channel()))
        errors = session.refused(group(channel("10.1.1.1", "10.1.1.2", family="ipv4")))
        assert {error.app_tag for error in errors} == {"peer-link-source-exclusive"}
        assert session.leaf("local-address") == "2001:db8:1::1"

    def test_changed_in_one_commit(self, session: Ncclient) -> None:
        session.set(group(channel()))
        session.set(group(f'<ipv6 xmlns:nc="{NC}" nc:operation="delete"/>{channel("10.1.1.1", "10.1.1.2", **V4)}'))
        assert session.leaf("local-address") == "10.1.1.1"


# --- port ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["ipv6", "ipv4"])
class TestPort:
    def config(self, family: str, port: str) -> str:
        return at("local-address", "2001:db8::1" if family == "ipv6" else "10.1.1.1", family).replace("2048", port)

    @pytest.mark.parametrize("port", ["1", "22", "179", "830", "1024"])
    def test_well_known(self, session: Ncclient, family: str, port: str) -> None:
        (error,) = session.refused(self.config(family, port))
        assert (error.tag, error.app_tag, error.path) == (
            "operation-failed", "tcp-port-well-known", f"{SOURCE}/{family}/tcp-port",
        )  # fmt: skip
        assert error.message.startswith(f'tcp-port "{port}": ')

    @pytest.mark.parametrize("port", ["0", "-1", "65536", "99999999999", "http", "2048.0", "2 048", "0x800", ""])
    def test_no_port(self, session: Ncclient, family: str, port: str) -> None:
        (error,) = session.refused(self.config(family, port))
        assert (error.tag, error.path) == ("invalid-value", f"{SOURCE}/{family}/tcp-port")
        assert error.message.startswith(f'tcp-port "{port}": ')
        assert "1..65535" in error.message

    @pytest.mark.parametrize("port", ["1025", "2048", "65535", "+2048", " 2048 "])
    def test_accepted(self, session: Ncclient, family: str, port: str) -> None:
        session.edit(self.config(family, port))
        session.manager.validate(source="candidate")

    def test_missing(self, session: Ncclient, family: str) -> None:
        (error,) = session.refused(self.config(family, "2048").replace("<tcp-port>2048</tcp-port>", ""))
        assert (error.tag, error.path) == ("data-missing", f"{SOURCE}/{family}/tcp-port")

    def test_used_by_the_agent_itself(self, session: Ncclient, family: str) -> None:
        own = session.manager._session._transport.sock.getpeername()[1]
        (error,) = session.refused(self.config(family, str(own)))
        assert (error.tag, error.app_tag, error.path) == (
            "operation-failed", "tcp-port-in-use", f"{SOURCE}/{family}/tcp-port",
        )  # fmt: skip
        assert str(own) in error.message
        assert "NETCONF" in error.message


# --- VPN instance -------------------------------------------------------------------------------------------


class TestVpnInstance:
    path = f"{SOURCE}/ipv6/vpn-instance"

    @pytest.mark.parametrize("content", ["", "<vrf-root/>"])
    @pytest.mark.parametrize("name", ["a", "red", "VPN_1-x.y", "n" * 31, "with space", "zwölf"])
    def test_accepted(self, session: Ncclient, name: str, content: str) -> None:
        session.set(vpn(name, content) + group(channel(vpn_instance=name)))
        assert session.leaf("vpn-instance") == name

    @pytest.mark.parametrize("name", ["n" * 32, "n" * 300])
    def test_too_long(self, session: Ncclient, name: str) -> None:
        (error,) = session.refused(vpn(name) + group(channel(vpn_instance=name)))
        assert (error.tag, error.app_tag, error.path) == ("operation-failed", "vpn-instance-name-length", self.path)

    def test_empty(self, session: Ncclient) -> None:
        errors = session.refused(vpn("") + group(channel(vpn_instance="")))
        assert ("operation-failed", "vpn-instance-name-length", self.path) in read(errors)

    def test_public(self, session: Ncclient) -> None:
        (error,) = session.refused(vpn("_public_") + group(channel(vpn_instance="_public_")))
        assert (error.tag, error.app_tag, error.path) == ("operation-failed", "vpn-instance-reserved", self.path)

    @pytest.mark.parametrize("name", ["blue", "Red", "RED", "red "])
    def test_must_exist_in_this_spelling(self, session: Ncclient, name: str) -> None:
        (error,) = session.refused(vpn("red") + group(channel(vpn_instance=name)))
        assert (error.tag, error.app_tag, error.path) == ("data-missing", "instance-required", self.path)
        assert error.message.startswith(f'vpn-instance "{name}": ')

    def test_in_use_cannot_go(self, session: Ncclient) -> None:
        session.set(vpn("red") + group(channel(vpn_instance="red")))
        gone = vpn("red").replace("<network-instance>", f'<network-instance xmlns:nc="{NC}" nc:operation="delete">')
        (error,) = session.refused(gone)
        assert (error.tag, error.app_tag) == ("data-missing", "instance-required")

    def test_same_parameters_in_two_instances(self, session: Ncclient) -> None:
        session.set(vpn("red") + group(channel(vpn_instance="red")))
        session.set(vpn("blue") + group(channel(vpn_instance="blue")))
        assert session.leaf("vpn-instance") == "blue"


# --- password -----------------------------------------------------------------------------------------------


class TestPassword:
    path = f"{GROUP}/authentication/password"

    @pytest.mark.parametrize("length", [0, 1, 7, 17, 127, 129])
    def test_length(self, session: Ncclient, length: int) -> None:
        secret = ("Zq9!" * 40)[:length]
        (error,) = session.refused(group(password=secret))
        assert (error.tag, error.app_tag, error.path) == ("invalid-value", "password-length", self.path)
        assert length == 0 or secret not in str(error.message) + str(error.info)

    @pytest.mark.parametrize("length", [8, 16])
    def test_accepted(self, session: Ncclient, length: int) -> None:
        secret = ("Zq9!" * 40)[:length]
        session.set(group(password=secret))
        kept = session.leaf("password")
        assert kept is not None
        assert len(kept) == 128
        assert secret not in session.manager.get_config(source="running").data_xml

    def test_cipher_text_that_is_not_ours(self, session: Ncclient) -> None:
        secret = "Zq9!" * 32
        (error,) = session.refused(group(password=secret))
        assert (error.tag, error.app_tag, error.path) == ("invalid-value", "password-cipher-text", self.path)
        assert secret not in str(error.message) + str(error.info)

    def test_cipher_text_is_taken_back(self, session: Ncclient) -> None:
        session.set(group(password="secret-12"))
        kept = session.leaf("password")
        session.set(group(password=kept))
        assert session.leaf("password") == kept

    def test_unknown_mode(self, session: Ncclient) -> None:
        config = group(password="secret-12").replace("<authentication>", "<authentication><mode>md5</mode>")
        (error,) = session.refused(config)
        assert (error.tag, error.path) == ("invalid-value", f"{GROUP}/authentication/mode")
        assert "hmac-sha256" in error.message


# --- models -------------------------------------------------------------------------------------------------


class TestModels:
    def test_without_ipv6(self, open_session: Callable[..., Ncclient]) -> None:
        session = open_session(model="CE6885-LL:low-latency")
        (error,) = session.refused(group(channel()))
        assert (error.tag, error.path) == ("unknown-element", SOURCE)
        assert "ipv6" in error.message
        session.set(group(channel("10.1.1.1", "10.1.1.2", **V4)))
        assert session.leaf("tcp-port") == "2048"
        state = session.manager.get(filter=("subtree", f'<m-lag xmlns="{DML}"/>')).data
        assert state.findtext(f".//{{{DML}}}sync-channel/{{{DML}}}oper-status") == "down"
        session.reset()

    @pytest.mark.parametrize("model", ["CE6885-LL", "CE6885-LL:standard", "CE6820S"])
    def test_with_ipv6(self, open_session: Callable[..., Ncclient], model: str) -> None:
        session = open_session(model=model)
        session.set(group(channel()))
        session.reset()

    def test_list(self) -> None:
        assert len([model for model in MODELS.values() if model.ipv6 and ":" not in model.name]) == 23


# --- rates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaf", ["arp-backup-rate", "nd-backup-rate"])
class TestRates:
    def config(self, leaf: str, value: str) -> str:
        return f'<m-lag xmlns="{DML}"><global><{leaf}>{value}</{leaf}></global></m-lag>'

    @pytest.mark.parametrize("value", ["0", "2001", "-1", "fast"])
    def test_refused(self, session: Ncclient, leaf: str, value: str) -> None:
        (error,) = session.refused(self.config(leaf, value))
        assert (error.tag, error.path) == ("invalid-value", f"/dfs-m-lag:m-lag/global/{leaf}")

    @pytest.mark.parametrize("value", ["1", "2000"])
    def test_accepted(self, session: Ncclient, leaf: str, value: str) -> None:
        session.set(self.config(leaf, value))
        assert session.leaf(leaf) == value


@pytest.fixture
def busy_port() -> Iterator[tuple[int, Callable[[], None]]]:
    """A port that another process holds, and what makes it let go."""
    script = (
        "import socket, sys; s = socket.socket(); s.bind(('0.0.0.0', 0)); s.listen();"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None

        def free() -> None:
            process.communicate("")

        yield int(process.stdout.readline()), free
        if process.poll() is None:
            free()


class TestBusyPort:
    @pytest.mark.parametrize("family", ["ipv6", "ipv4"])
    def test_held_by_another_process(
        self,
        session: Ncclient,
        agent_thread: AgentThread,
        busy_port: tuple[int, Callable[[], None]],
        family: str,
    ) -> None:
        port, free = busy_port
        engine = agent_thread("device-usual").engine
        addresses = ("2001:db8:1::1", "2001:db8:1::2") if family == "ipv6" else ("10.1.1.1", "10.1.1.2")
        session.set(group(channel(*addresses, 2048, family=family)))
        in_force = engine.config
        session.edit(group(channel(*addresses, port, family=family)))
        with pytest.raises(RPCError) as caught:
            session.manager.commit()
        error = caught.value
        assert (error.tag, error.app_tag, error.path) == (
            "operation-failed", "tcp-port-in-use", f"{SOURCE}/{family}/tcp-port",
        )  # fmt: skip
        assert str(port) in error.message
        assert session.leaf("tcp-port") == "2048"
        assert session.leaf("tcp-port", "candidate") == str(port)
        assert engine.config is in_force
        free()
        session.manager.commit()
        assert session.leaf("tcp-port") == str(port)
        assert engine.config is not None
        assert engine.config.channel is not None
        assert engine.config.channel.tcp_port == port

    def test_another_device_holds_the_address(self, session: Ncclient, agent_thread: AgentThread) -> None:
        own = agent_thread("device-usual")
        session.set(group(channel()))
        other = agent_thread("device-other", fabric=own.settings.fabric)
        theirs = Ncclient(other.port, "default")
        try:
            (error,) = theirs.refused(group(channel()))
            assert (error.tag, error.app_tag) == ("operation-failed", "local-address-unavailable")
            assert error.path == f"{SOURCE}/ipv6/local-address"
            session.reset()
            theirs.set(group(channel()))  # free at once, not only after the engine's time of grace
            theirs.reset()
        finally:
            theirs.manager.close_session()
