"""Access control over real sockets: several users, the rules of RFC 8341, and the device's levels (DOMAIN 5.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from conftest import HASH, Connect, MakeSettings, Start
from mlag_agent.app import Device
from mlag_agent.config import AccessSettings, UserSettings
from netconf_client import DML, NI, Client, Reply, channel, group, vpn

ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
NAMES = f'xmlns:if="{IF}" xmlns:m="{DML}" xmlns:ni="{NI}" xmlns:nacm="{ACM}"'

Login = Callable[[str], Awaitable[Client]]


def rule(name: str, action: str = "deny", operations: str = "*", comment: str = "", **kind: str) -> str:
    """One rule; ``kind``: module, rpc, notification, path."""
    tags = {"module": "module-name", "rpc": "rpc-name", "notification": "notification-name", "path": "path"}
    parts = "".join(f"<{tags[key]} {NAMES}>{value}</{tags[key]}>" for key, value in kind.items())
    return (
        f"<rule><name>{name}</name>{parts}<access-operations>{operations}</access-operations>"
        f"<action>{action}</action></rule>"
    )


def rules(*lines: str, name: str = "mine", groups: str = "guests") -> str:
    """One rule-list."""
    return f"<rule-list><name>{name}</name><group>{groups}</group>{''.join(lines)}</rule-list>"


def nacm(*parts: str, guests: str = "gast", **leafs: str) -> str:
    """The ``/nacm`` container with a group of guests."""
    leaf = "".join(f"<{key.replace('_', '-')}>{value}</{key.replace('_', '-')}>" for key, value in leafs.items())
    members = "".join(f"<user-name>{user}</user-name>" for user in guests.split())
    groups = f"<groups><group><name>guests</name>{members}</group></groups>" if guests else ""
    return f'<nacm xmlns="{ACM}">{leaf}{groups}{"".join(parts)}</nacm>'


def interface(name: str, description: str = "x", more: str = "") -> str:
    return (
        f'<interfaces xmlns="{IF}"><interface><name>{name}</name><description>{description}</description>'
        '<type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:ethernetCsmacd</type>'
        f"{more}</interface></interfaces>"
    )


USERS = (
    *(UserSettings(name=f"level{level}", password_hash=HASH, level=level) for level in range(4)),
    UserSettings(name="anna", password_hash=HASH),
    UserSettings(name="gast", password_hash=HASH, level=0),
    UserSettings(name="retter", password_hash=HASH, level=0),
    UserSettings(name="extern", password_hash=HASH, level=0, groups=("auditors",)),
)


@pytest.fixture
async def device(start: Start, make_settings: MakeSettings) -> Device:
    return await start(
        settings=make_settings(users=USERS, access=AccessSettings(recovery_users=("retter",)), startup=True)
    )


@pytest.fixture
def login(device: Device, connect: Connect) -> Login:
    async def begin(name: str) -> Client:
        return await connect(device, username=name)

    return begin


async def configured(client: Client, config: str, options: str = "") -> None:
    """Running, by someone who may."""
    reply = await client.edit(config, target="running", options=options)
    assert reply.ok, reply.text


def refusal(reply: Reply) -> str:
    """The words of the only refusal."""
    error = reply.error
    assert error.tag == "access-denied", reply.text
    return error.message


# --- levels ---------------------------------------------------------------------------------------------------


class TestLevels:
    """DOMAIN 5.3, out of the box: nothing is configured."""

    async def test_a_level_3_user_can_do_everything(self, login: Login) -> None:
        client, other = await login("level3"), await login("level3")
        assert (await client.edit(group(channel()))).ok
        assert (await client.commit()).ok
        assert (await client.edit(nacm(rules(rule("r"))))).ok
        assert (await client.rpc("<delete-config><target><startup/></target></delete-config>")).ok
        assert (await client.rpc(f"<kill-session><session-id>{other.session_id}</session-id></kill-session>")).ok
        assert (await client.get("<nacm/>")).leaf("denied-operations") == "0"

    async def test_a_level_2_user_can_configure_m_lag(self, login: Login) -> None:
        client = await login("level2")
        secret = "correct+horse"
        assert (await client.rpc("<lock><target><candidate/></target></lock>")).ok
        assert (await client.edit(vpn("blue") + interface("eth0") + group(channel(), password=secret))).ok
        assert (await client.commit()).ok
        assert (await client.rpc("<unlock><target><candidate/></target></unlock>")).ok
        reply = await client.get_config()
        assert reply.leaf("tcp-port") == "2048"
        sealed = reply.leaf("password")
        assert sealed is not None
        assert len(sealed) == 128
        assert secret not in reply.text
        assert (await client.get(group())).leaf("oper-status") is not None

    @pytest.mark.parametrize(
        "operation",
        [
            "<kill-session><session-id>4711</session-id></kill-session>",
            "<delete-config><target><startup/></target></delete-config>",
        ],
    )
    async def test_a_level_2_user_does_not_manage(self, login: Login, operation: str) -> None:
        client = await login("level2")
        words = refusal(await client.rpc(operation))
        name = operation[1 : operation.index(">")]
        assert words == (
            f'access denied to execute ietf-netconf:{name}: rule "no ietf-netconf:{name}" of rule-list "level-2"'
        )

    async def test_a_level_2_user_neither_sees_nor_makes_rules(self, login: Login) -> None:
        client = await login("level2")
        assert "nacm" not in (await client.get()).text
        words = refusal(await client.edit(nacm(rules(rule("r", "permit")))))
        assert 'rule "hide /ietf-netconf-acm:nacm" of rule-list "level-2"' in words

    async def test_a_level_1_user_can_only_read(self, login: Login) -> None:
        admin, client = await login("level3"), await login("level1")
        await configured(admin, group(channel(), password="correct+horse"))
        reply = await client.get_config()
        assert reply.leaf("tcp-port") == "2048"
        assert reply.leaf("password") is None  # nacm:default-deny-all
        assert (await client.get(group())).leaf("sync-channel", "oper-status") is not None
        assert "nacm" not in (await client.get()).text
        schema = '<get-schema xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"><identifier>dfs-m-lag'
        assert "module dfs-m-lag" in (await client.rpc(f"{schema}</identifier></get-schema>")).text

    @pytest.mark.parametrize(
        "operation",
        [
            "<edit-config><target><candidate/></target><config/></edit-config>",
            "<commit/>",
            "<discard-changes/>",
            "<lock><target><running/></target></lock>",
            "<validate><source><running/></source></validate>",
            "<copy-config><target><startup/></target><source><running/></source></copy-config>",
            '<flush-entries xmlns="urn:mlag-agent:yang:mlag-simulator"/>',
        ],
    )
    async def test_a_level_1_user_changes_nothing(self, login: Login, operation: str) -> None:
        client = await login("level1")
        words = refusal(await client.rpc(operation))
        assert words.endswith('rule "nothing-else" of rule-list "level-1"')

    async def test_a_level_0_user_can_do_nothing(self, login: Login) -> None:
        client = await login("level0")
        for operation in ("<get/>", "<get-config><source><running/></source></get-config>", "<commit/>"):
            words = refusal(await client.rpc(operation))
            assert words.endswith('rule "nothing" of rule-list "level-0"')
        assert (await client.rpc("<close-session/>")).ok  # RFC 8341 section 3.4.4, step 3
        await client.ended()

    async def test_the_ready_made_rules_can_be_seen(self, login: Login) -> None:
        client = await login("level3")
        shown = await client.get(f'<nacm xmlns="{ACM}"/>')
        assert shown.leafs("name")[:2] == ["level-3", "everything"]
        assert "nacm" not in (await client.get_config()).text

    async def test_a_configured_list_stands_for_the_ready_made_one_of_its_name(self, login: Login) -> None:
        admin, client = await login("level3"), await login("level1")
        mine = rules(rule("exec", "permit", "exec"), rule("all", "deny"), name="level-1", groups="level-1")
        await configured(admin, group(channel()) + nacm(mine, guests=""))
        assert len((await client.get_config()).data) == 0
        assert (await client.rpc("<discard-changes/>")).ok
        names = (await admin.get(f'<nacm xmlns="{ACM}"/>')).leafs("name")
        assert names.count("level-1") == 1
        assert "nothing-else" not in names

    async def test_a_group_of_the_configuration_gives_a_level(self, login: Login) -> None:
        admin, client = await login("level3"), await login("level1")
        members = "<groups><group><name>level-2</name><user-name>level1</user-name></group></groups>"
        await configured(admin, f'<nacm xmlns="{ACM}">{members}</nacm>')
        assert (await client.edit(group(channel()))).ok
        assert (await client.commit()).ok

    async def test_one_flag_turns_it_off(self, start: Start, make_settings: MakeSettings, connect: Connect) -> None:
        settings = make_settings("open", users=USERS, access=AccessSettings(nacm=False))
        device = await start(settings=settings)
        client = await connect(device, username="level0")
        assert (await client.edit(nacm(rules(rule("no"), groups="*")) + group(channel()))).ok
        assert (await client.commit()).ok
        assert (await client.get(f'<nacm xmlns="{ACM}"/>')).leaf("enable-nacm") == "false"
