"""Access control over real sockets: several users, the rules of RFC 8341, and the device's levels (DOMAIN 5.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.transport.errors import TransportError

from conftest import HASH, Connect, MakeSettings, Start
from mlag_agent.access.levels import MANAGING, READING
from mlag_agent.app import Device
from mlag_agent.config import AccessSettings, UserSettings
from netconf_client import DML, NC, NI, PASSWORD, Client, Reply, channel, group, vpn

ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
NCN = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
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

    async def test_the_rules_name_operations_that_there_are(self, device: Device) -> None:
        """A misspelt name would deny a level 1 user what he may do, or permit a level 2 user what he may not."""
        served = {(node.module.name, node.name) for node in device.agent.library.tree.rpcs.values()}
        modules = {module for module, _ in served}
        assert {pair for pair in (*READING, *MANAGING) if pair[0] in modules} <= served
        assert len(modules & {module for module, _ in (*READING, *MANAGING)}) >= 7

    async def test_one_flag_turns_it_off(self, start: Start, make_settings: MakeSettings, connect: Connect) -> None:
        settings = make_settings("open", users=USERS, access=AccessSettings(nacm=False))
        device = await start(settings=settings)
        client = await connect(device, username="level0")
        assert (await client.edit(nacm(rules(rule("no"), groups="*")) + group(channel()))).ok
        assert (await client.commit()).ok
        assert (await client.get(f'<nacm xmlns="{ACM}"/>')).leaf("enable-nacm") == "false"


# --- rules ----------------------------------------------------------------------------------------------------

EXEC = rule("exec", "permit", "exec")
READ = rule("read", "permit", "read")
SECRETS = rule("secrets", "deny", path="/nacm:nacm")


class TestReading:
    """RFC 8341 section 3.2.4."""

    @pytest.fixture
    async def guest(self, login: Login) -> Client:
        admin = await login("anna")
        for config in (vpn("red"), vpn("blue"), interface("eth0", "plain"), interface("eth1", "hush")):
            await configured(admin, config)
        return await login("gast")

    async def test_what_is_denied_is_left_out_without_a_trace(self, login: Login, guest: Client) -> None:
        hidden = "/if:interfaces/if:interface[if:name='eth1']"
        mine = rules(rule("one", path=hidden), rule("no-vpn", path="/ni:network-instances"), SECRETS, READ, EXEC)
        await configured(await login("anna"), nacm(mine))
        for reply in (await guest.get_config(), await guest.get()):
            assert "eth0" in reply.text
            for trace in ("eth1", "hush", "network-instances", "nacm"):
                assert trace not in reply.text

    async def test_a_filter_cannot_test_it(self, login: Login, guest: Client) -> None:
        """A content match of what is hidden is not true, and so selects nothing; netopeer2 lets a user test values."""
        mine = rules(rule("text", path="/if:interfaces/if:interface/if:description"), READ, EXEC)
        await configured(await login("anna"), nacm(mine))

        def asking(text: str) -> str:
            return (
                f'<interfaces xmlns="{IF}"><interface><description>{text}</description><name/></interface></interfaces>'
            )

        assert len((await guest.get_config(select=asking("hush"))).data) == 0
        assert len((await guest.get(select=asking("hush"))).data) == 0
        assert len((await (await login("anna")).get_config(select=asking("hush"))).data) == 1

    async def test_read_default_deny(self, login: Login, guest: Client) -> None:
        mine = rules(
            rule("vpns", "permit", "read", path="/ni:network-instances"), EXEC, name="level-0", groups="guests"
        )
        await configured(await login("anna"), nacm(mine, read_default="deny"))
        reply = await guest.get_config()
        assert reply.leafs("name") == ["blue", "red"]
        assert "interface" not in reply.text

    async def test_descendants_of_what_is_denied_are_hidden_whatever_permits_them(
        self, login: Login, guest: Client
    ) -> None:
        inner = rule("inner", "permit", path="/ni:network-instances/ni:network-instance")
        outer = rule("outer", "deny", path="/ni:network-instances")
        await configured(await login("anna"), nacm(rules(inner, outer, SECRETS, READ, EXEC)))
        assert "network-instances" not in (await guest.get_config()).text

    async def test_each_sees_his_own(self, login: Login, guest: Client) -> None:
        own = rule("own", "permit", "read", path="/ni:network-instances/ni:network-instance[ni:name=$USER]")
        rest = rule("rest", path="/ni:network-instances/ni:network-instance")
        admin = await login("anna")
        await configured(admin, vpn("gast") + nacm(rules(own, rest, READ, EXEC)))
        assert (await guest.get_config(select=f'<network-instances xmlns="{NI}"/>')).leafs("name") == ["gast"]
        assert '="gast"' not in (await admin.get_config(select=f'<nacm xmlns="{ACM}"/>')).text

    async def test_the_group_of_the_settings_counts_unless_external_groups_are_off(self, login: Login) -> None:
        admin, auditor = await login("anna"), await login("extern")
        mine = rules(SECRETS, READ, EXEC, groups="auditors")
        await configured(admin, vpn("red") + nacm(mine))
        assert (await auditor.get_config()).leafs("name") == ["red"]
        await configured(admin, nacm(enable_external_groups="false"))
        refused = await auditor.edit(vpn("blue"))  # in no group: write-default
        assert "the user is in no group, so no rule matches, and write-default is deny" in refusal(refused)


class TestWriting:
    """RFC 8341 sections 3.2.5 to 3.2.8."""

    @pytest.fixture
    async def guest(self, login: Login) -> Client:
        return await login("gast")

    async def allow(self, login: Login, *lines: str, config: str = "", **leafs: str) -> None:
        await configured(await login("anna"), config + nacm(rules(*lines, EXEC), **leafs))

    async def test_a_refusal_names_path_and_rule(self, login: Login, guest: Client) -> None:
        await self.allow(login, rule("look", "permit", "read"), rule("hands-off", "deny", "create update delete"))
        reply = await guest.edit(interface("eth0"))
        assert reply.error.type == "application"
        assert reply.error.path == "/ietf-interfaces:interfaces/interface[name='eth0']"
        assert refusal(reply) == (
            'access denied to create /ietf-interfaces:interfaces/interface: rule "hands-off" of rule-list "mine"'
        )
        counter = f'<nacm xmlns="{ACM}"><denied-data-writes/></nacm>'
        assert (await (await login("anna")).get(counter)).leaf("denied-data-writes") == "1"

    async def test_a_refusal_names_the_missing_rule(
        self, start: Start, connect: Connect, make_settings: MakeSettings
    ) -> None:
        users = (UserSettings(name="gast", password_hash=HASH, level=1), UserSettings(name="anna", password_hash=HASH))
        device = await start(settings=make_settings("other", users=users))
        admin, guest = await connect(device), await connect(device, username="gast")
        empty_list = rules(name="level-1", groups="guests")
        await configured(admin, nacm(empty_list))
        assert refusal(await guest.edit(interface("eth0"))).endswith("no rule matches, and write-default is deny")

    async def test_create_update_and_delete_are_told_apart(self, login: Login, guest: Client) -> None:
        may = {"create": "eth1", "update": "eth0", "delete": "eth0"}
        for operation, name in may.items():
            await self.allow(login, rule("one", "permit", f"read {operation}"), READ, config=interface("eth0", "old"))
            delete = interface("eth0", "old").replace(
                "<interface>", f'<interface xmlns:nc="{NC}" nc:operation="delete">'
            )
            tries = {"create": interface("eth1"), "update": interface("eth0", "new"), "delete": delete}
            for wanted, config in tries.items():
                reply = await guest.edit(config)
                assert reply.ok is (wanted == operation), (operation, wanted, reply.text)
                if not reply.ok:
                    assert f"access denied to {wanted} " in refusal(reply)
                assert (await guest.rpc("<discard-changes/>")).ok
            assert name

    async def test_what_stays_as_it_is_needs_no_right(self, login: Login, guest: Client) -> None:
        await self.allow(login, READ, rule("new", "permit", "create"), config=interface("eth0", "old"))
        assert (await guest.edit(interface("eth0", "old"))).ok
        replace = interface("eth0", "old").replace("<interface>", f'<interface xmlns:nc="{NC}" nc:operation="replace">')
        assert (await guest.edit(replace)).ok

    async def test_a_container_on_the_way_needs_no_right(self, login: Login, guest: Client) -> None:
        """To create an entry is enough; the container around it is there with it (RFC 7950 section 7.5.1)."""
        await self.allow(login, READ, rule("new", "permit", "create", path="/if:interfaces/if:interface"))
        assert (await guest.edit(interface("eth0"))).ok

    async def test_a_deleted_subtree_needs_the_right_for_all_of_it(self, login: Login, guest: Client) -> None:
        kept = rule("kept", "deny", "delete", path="/if:interfaces/if:interface/if:description")
        await self.allow(login, kept, rule("all", "permit"), config=interface("eth0", "kept"))
        remove = f'<interfaces xmlns="{IF}" xmlns:nc="{NC}" nc:operation="remove"/>'
        assert "/interface/description: rule" in refusal(await guest.edit(remove))
        assert len((await (await login("anna")).get_config("candidate", f'<interfaces xmlns="{IF}"/>')).data) == 1

    async def test_the_other_case_of_a_choice_goes_without_a_right(self, login: Login, guest: Client) -> None:
        ipv4 = channel("10.1.1.1", "10.1.1.2", family="ipv4")
        await self.allow(login, rule("new", "permit", "read create update"), config=group(ipv4))
        reply = await guest.edit(group(channel()))
        assert reply.ok, reply.text
        remove = f'<ipv6 xmlns:nc="{NC}" nc:operation="delete"/>'
        assert "access denied to delete" in refusal(await guest.edit(group(remove)))

    async def test_commit_checks_what_differs(self, login: Login, guest: Client) -> None:
        """Section 3.2.8: what another one has put into the candidate counts as well, what is the same does not."""
        admin = await login("anna")
        await self.allow(
            login, rule("one", "permit", path="/if:interfaces"), READ, config=interface("eth0") + vpn("red")
        )
        assert (await guest.edit(interface("eth0", "mine"))).ok
        assert (await guest.commit()).ok
        assert (await admin.edit(vpn("blue"))).ok
        assert (await guest.edit(interface("eth0", "again"))).ok
        reply = await guest.commit()
        assert reply.error.path == "/ietf-network-instance:network-instances/network-instance[name='blue']"
        assert refusal(reply)
        assert (await guest.rpc("<discard-changes/>")).ok  # no right to the data is needed: section 3.2.9

    async def test_running_is_protected_the_same_way(self, login: Login, guest: Client) -> None:
        await self.allow(login, READ)
        assert refusal(await guest.edit(interface("eth0"), target="running"))
        only = "<test-option>test-only</test-option>"
        assert refusal(await guest.edit(interface("eth0"), target="running", options=only))

    async def test_copy_config(self, login: Login, guest: Client) -> None:
        """Section 3.2.6: what the user does not see is not copied; to save running takes the right to copy alone."""
        admin = await login("anna")
        await self.allow(login, rule("vpn", "deny", path="/ni:network-instances"), SECRETS, READ, config=vpn("red"))
        copy = "<copy-config><target><{}/></target><source><{}/></source></copy-config>".format
        assert (await guest.rpc(copy("startup", "running"))).ok
        assert "red" in (await admin.get_config("startup")).text
        reply = await guest.rpc(copy("candidate", "running"))  # would delete from the candidate what he cannot see
        assert reply.errors
        assert {error.tag for error in reply.errors} == {"access-denied"}
        assert "red" not in reply.text

    async def test_cancel_commit_is_a_change(self, login: Login, guest: Client) -> None:
        admin = await login("anna")
        await self.allow(login, rule("new", "permit", "create update"), READ)
        assert (await admin.edit(interface("eth0"))).ok
        assert (await admin.rpc("<commit><confirmed/><persist>t</persist></commit>")).ok
        assert refusal(await guest.rpc("<cancel-commit><persist-id>t</persist-id></cancel-commit>"))
        assert (await admin.rpc("<cancel-commit><persist-id>t</persist-id></cancel-commit>")).ok


class TestLeaks:
    """Errors and successes tell nothing about what a user may not read (RFC 8341 sections 3.2.5 and 3.4.3)."""

    SECRET = "/ni:network-instances"

    @pytest.fixture
    async def guest(self, login: Login) -> Client:
        hidden = rules(rule("hidden", path=self.SECRET), rule("all", "permit"))
        await configured(await login("anna"), vpn("red", "<description>deep</description>") + nacm(hidden))
        return await login("gast")

    @pytest.mark.parametrize("operation", ["merge", "create", "replace", "delete", "remove"])
    async def test_there_or_not_the_answer_is_the_same(self, guest: Client, operation: str) -> None:
        def edit(name: str) -> str:
            return vpn(name).replace(
                "<network-instance>", f'<network-instance xmlns:nc="{NC}" nc:operation="{operation}">'
            )

        there, missing = await guest.edit(edit("red")), await guest.edit(edit("green"))
        assert there.errors == missing.errors
        assert refusal(there)
        assert "red" not in there.text

    async def test_a_value_cannot_be_guessed(self, guest: Client) -> None:
        """What is there already needs no right to write it again, so that success would tell."""

        def merge(text: str) -> str:
            return vpn("red", f"<description>{text}</description>")

        right, wrong = await guest.edit(merge("deep")), await guest.edit(merge("shallow"))
        assert right.errors == wrong.errors
        assert refusal(right)

    async def test_with_default_operation_none(self, guest: Client) -> None:
        none = "<default-operation>none</default-operation>"
        there, missing = await guest.edit(vpn("red"), options=none), await guest.edit(vpn("green"), options=none)
        assert there.errors == missing.errors
        assert refusal(there)

    async def test_an_insert_beside_hidden_entries(self, login: Login, guest: Client) -> None:
        hidden = rule("hidden", "deny", "read", path="/nacm:nacm/nacm:rule-list[nacm:name='secret-list']")
        await configured(await login("anna"), nacm(rules(name="secret-list"), rules(hidden, rule("all", "permit"))))

        def insert(beside: str) -> str:
            key = f'xmlns:n="{ACM}" y:key="[n:name=\'{beside}\']"'
            attributes = f'xmlns:y="urn:ietf:params:xml:ns:yang:1" y:insert="after" {key}'
            return f'<nacm xmlns="{ACM}"><rule-list {attributes}><name>new</name></rule-list></nacm>'

        reply = await guest.edit(insert("no-such-list"))
        assert reply.error.app_tag == "missing-instance"  # he may write there: what comes of his edit is his to know

    async def test_a_violation_in_a_hidden_part(self, login: Login, guest: Client) -> None:
        admin = await login("anna")
        bad = channel("fe80::1", "2001:db8::2")
        hidden = rules(rule("hidden", "deny", "read", path="/m:m-lag"), rule("all", "permit"))
        await configured(admin, nacm(hidden))
        assert (await admin.edit(group(bad))).ok
        seen = (await admin.rpc("<validate><source><candidate/></source></validate>")).error
        assert "fe80::1" in seen.message
        reply = await guest.rpc("<validate><source><candidate/></source></validate>")
        assert reply.error.tag == "operation-failed"
        assert reply.error.message == "the configuration violates a constraint in a part that you may not read"
        assert reply.error.path == "/dfs-m-lag:m-lag"
        assert "fe80" not in reply.text
        assert reply.error.app_tag is None

    async def test_the_leafs_of_a_container_in_a_message(self, login: Login, guest: Client) -> None:
        same = channel("2001:db8::1", "2001:db8::1")
        hidden = rules(
            rule("hidden", "deny", "read", path=f"/m:m-lag{GROUP_PATH}/m:peer-address"), rule("all", "permit")
        )
        admin = await login("anna")
        await configured(admin, nacm(hidden))
        assert (await admin.edit(group(same))).ok
        assert "2001:db8::1" in (await admin.rpc("<validate><source><candidate/></source></validate>")).text
        assert "2001:db8::1" not in (await guest.rpc("<validate><source><candidate/></source></validate>")).text


GROUP_PATH = "/m:dfs-groups/m:dfs-group/m:peer-link-source/m:ipv6"


class TestRunTime:
    """The rules change while sessions are open."""

    async def test_edits_take_effect_at_once_for_open_sessions(self, login: Login) -> None:
        admin, guest = await login("anna"), await login("gast")
        assert refusal(await guest.get_config())
        await configured(admin, vpn("red") + nacm(rules(SECRETS, READ, EXEC)))
        assert (await guest.get_config()).leafs("name") == ["red"]
        assert (await admin.edit(f'<nacm xmlns="{ACM}" xmlns:nc="{NC}" nc:operation="delete"/>')).ok
        assert (await guest.get_config()).leafs("name") == ["red"]  # only running counts
        assert (await admin.commit()).ok
        assert refusal(await guest.get_config())

    async def test_a_change_that_is_taken_back_changes_nothing(self, login: Login) -> None:
        admin, guest = await login("anna"), await login("gast")
        await configured(admin, vpn("red"))
        bad = nacm(rules(SECRETS, READ, EXEC)) + group(channel("fe80::1", "2001:db8::2"))
        assert (await admin.edit(bad, target="running")).errors
        assert refusal(await guest.get_config())
        assert (await admin.edit(nacm(rules(SECRETS, READ, EXEC)))).ok
        assert (await admin.rpc("<commit><confirmed/></commit>")).ok
        assert (await guest.get_config()).leafs("name") == ["red"]
        assert (await admin.rpc("<cancel-commit/>")).ok
        assert refusal(await guest.get_config())

    async def test_enable_nacm(self, login: Login) -> None:
        admin, guest = await login("anna"), await login("gast")
        await configured(admin, nacm(enable_nacm="false"))
        assert (await guest.edit(vpn("red"))).ok
        assert (await guest.edit(nacm(enable_nacm="true", guests=""))).ok
        assert (await guest.commit()).ok
        assert refusal(await guest.get_config())

    async def test_a_recovery_user_is_above_all_rules(self, login: Login) -> None:
        admin, rescue = await login("anna"), await login("retter")
        await configured(admin, nacm(rules(rule("nobody", "deny"), groups="*")))
        assert refusal(await admin.get_config())
        assert "nobody" in (await rescue.get_config()).text
        assert (await rescue.edit(f'<nacm xmlns="{ACM}" xmlns:nc="{NC}" nc:operation="delete"/>')).ok
        assert (await rescue.commit()).ok
        assert (await admin.get_config()).leafs("name") == []

    async def test_rules_are_in_force_after_a_restart(
        self, start: Start, make_settings: MakeSettings, connect: Connect
    ) -> None:
        settings = make_settings("again", users=USERS)
        device = await start(settings=settings)
        await configured(await connect(device), vpn("red") + nacm(rules(SECRETS, READ, EXEC)))
        await device.aclose()
        device = await start(settings=settings)
        guest = await connect(device, username="gast")
        assert (await guest.get_config()).leafs("name") == ["red"]
        assert refusal(await guest.edit(vpn("blue")))

    async def test_counters(self, login: Login) -> None:
        admin, guest = await login("anna"), await login("gast")
        shown = f'<nacm xmlns="{ACM}"><denied-operations/><denied-data-writes/><denied-notifications/></nacm>'

        async def counters() -> list[str | None]:
            reply = await admin.get(shown)
            return [reply.leaf(name) for name in ("denied-operations", "denied-data-writes", "denied-notifications")]

        assert await counters() == ["0", "0", "0"]
        await guest.get_config()
        await guest.commit()
        assert await counters() == ["2", "0", "0"]
        await configured(admin, nacm(rules(SECRETS, READ, EXEC)))
        await guest.edit(vpn("red") + interface("eth0"))
        assert await counters() == ["2", "1", "0"]

    async def test_a_path_must_name_a_node(self, login: Login) -> None:
        admin = await login("anna")
        reply = await admin.edit(nacm(rules(rule("r", path="/if:interfaces/if:nonsense"))))
        error = reply.error
        assert error.tag == "invalid-value"
        assert error.path == "/ietf-netconf-acm:nacm/rule-list[name='mine']/rule[name='r']/path"
        assert "must be the path of a node that the schema has" in error.message

    async def test_paths_keep_their_meaning_whatever_the_prefixes(self, login: Login) -> None:
        admin = await login("anna")
        await configured(admin, nacm(rules(rule("r", path="/if:interfaces/if:interface[if:name='a']"))))
        reply = await admin.get_config(select=f'<nacm xmlns="{ACM}"/>')
        path = next(reply.root.iter(f"{{{ACM}}}path"))
        assert path.text == "/ietf-interfaces:interfaces/ietf-interfaces:interface[ietf-interfaces:name='a']"
        assert path.nsmap["ietf-interfaces"] == IF


class TestEvents:
    """RFC 8341 section 3.4.6."""

    EVENTS = (
        f'<filter type="subtree"><netconf-config-change xmlns="{NCN}"/><netconf-session-start xmlns="{NCN}"/></filter>'
    )

    async def test_what_is_denied_is_dropped_for_that_user_and_counted(self, login: Login) -> None:
        admin, guest = await login("anna"), await login("gast")
        no = rule("no", "deny", "read", notification="netconf-config-change")
        await configured(admin, nacm(rules(no, READ, EXEC)))
        assert (await admin.subscribe(self.EVENTS)).ok
        assert (await guest.subscribe(self.EVENTS)).ok
        await configured(admin, vpn("red"))
        assert (await admin.notification()).event.tag == f"{{{NCN}}}netconf-config-change"
        other = await login("level3")
        event = await guest.notification()
        assert event.event.tag == f"{{{NCN}}}netconf-session-start"
        counter = await admin.get(f'<nacm xmlns="{ACM}"><denied-notifications/></nacm>')
        assert counter.leaf("denied-notifications") == "1"
        assert other.session_id

    async def test_rules_of_the_moment_count(self, login: Login) -> None:
        admin, guest = await login("anna"), await login("gast")
        await configured(admin, nacm(rules(READ, EXEC)))
        assert (await guest.subscribe(self.EVENTS)).ok
        await configured(admin, nacm(rules(rule("read", "deny", "read"))))  # is in force when it is told of
        await configured(admin, nacm(rules(rule("read", "permit", "read"))))
        assert (await guest.notification()).event.tag == f"{{{NCN}}}netconf-config-change"
        counter = await admin.get(f'<nacm xmlns="{ACM}"><denied-notifications/></nacm>')
        assert counter.leaf("denied-notifications") == "1"


class TestClients:
    """The same with the ecosystem's client, several users at once."""

    def test_ncclient(self, agent_thread: Callable[..., Device]) -> None:
        device = agent_thread(users=USERS)

        def connected(name: str) -> Any:
            return manager.connect(
                host="127.0.0.1", port=device.port, username=name, password=PASSWORD, hostkey_verify=False,
                allow_agent=False, look_for_keys=False,
            )  # fmt: skip

        with connected("level3") as admin, connected("level2") as operator, connected("level1") as viewer:
            operator.edit_config(target="candidate", config=f'<config xmlns="{NC}">{vpn("red")}</config>')
            operator.commit()
            assert "red" in viewer.get_config("running").xml
            with pytest.raises(RPCError) as caught:
                viewer.edit_config(target="running", config=f'<config xmlns="{NC}">{vpn("blue")}</config>')
            assert caught.value.tag == "access-denied"
            assert 'rule-list "level-1"' in str(caught.value.message)
            hide = rules(rule("hide", path="/ni:network-instances"), name="hide", groups="level-1")
            admin.edit_config(target="running", config=f'<config xmlns="{NC}">{nacm(hide)}</config>')
            assert "red" not in viewer.get_config("running").xml
            assert "red" in operator.get_config("running").xml
            with pytest.raises(RPCError) as caught:
                operator.kill_session(viewer.session_id)
            assert caught.value.tag == "access-denied"
            other = connected("level1")
            admin.kill_session(other.session_id)
            with pytest.raises(TransportError):
                other.close_session()


class TestDatastoreOperations:
    """factory-reset (RFC 8808), partial locks (RFC 5717) and edit-data (RFC 8526) ask as well."""

    async def test_factory_reset_is_denied_unless_allowed(self, device: Device, login: Login) -> None:
        reset = '<factory-reset xmlns="urn:ietf:params:xml:ns:yang:ietf-factory-default"/>'
        assert (await (await login("level1")).rpc(reset)).error.tag == "access-denied"
        admin = await login("anna")
        assert (await admin.rpc(reset)).ok

    async def test_what_may_not_be_read_cannot_be_locked(self, device: Device, login: Login) -> None:
        head = '<partial-lock xmlns="urn:ietf:params:xml:ns:netconf:partial-lock:1.0">'
        lock = head + "<select>{}</select></partial-lock>"
        admin = await login("anna")
        allowed = rule("a", "permit", module="ietf-netconf-partial-lock")
        hidden = rule("h", path="/ni:network-instances/ni:network-instance[ni:name='secret']")
        assert (await admin.edit(nacm(rules(allowed, hidden), guests="level1"), "running")).ok
        assert (await admin.edit(_instances("open", "secret"), "running")).ok
        guest = await login("level1")
        granted = await guest.rpc(lock.format("//network-instance"))
        assert [node.rpartition("=")[2] for node in granted.leafs("locked-node")] == ["'open']"]
        denied = await guest.rpc(lock.format("//network-instance[name='secret']"))
        assert denied.error.app_tag == "no-matches"
        assert "secret" not in denied.error.message.replace("[name='secret']", "")

    async def test_edit_data_is_checked(self, device: Device, login: Login) -> None:
        admin = await login("anna")
        allowed = rule("a", "permit", module="ietf-netconf-nmda")
        assert (await admin.edit(nacm(rules(allowed)), "running")).ok
        edit = (
            '<edit-data xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-nmda" '
            'xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores"><datastore>ds:{}</datastore>'
            f"<config>{vpn('red')}</config></edit-data>"
        )
        guest = await login("gast")
        for datastore in ("running", "candidate", "startup"):
            assert (await guest.rpc(edit.format(datastore))).error.tag == "access-denied"
            assert (await admin.rpc(edit.format(datastore))).ok


def _instances(*names: str) -> str:
    inner = "".join(f"<network-instance><name>{name}</name></network-instance>" for name in names)
    return f'<network-instances xmlns="{NI}">{inner}</network-instances>'


# --- nodes that go with their condition -----------------------------------------------------------------------


class TestConditions:
    """What an edit makes impossible goes as a side effect (RFC 7950 section 8.3.2): no right to delete it is needed."""

    EVERY = "urn:test:every"

    @pytest.fixture
    async def device(self, start: Start, make_settings: MakeSettings) -> Device:
        folder = str(Path(__file__).parents[1] / "yang")
        settings = make_settings(
            users=USERS,
            access=AccessSettings(recovery_users=("retter",)),
            yang_dirs=(folder,),
            modules=("every:on,both", "every-more"),
        )
        return await start(settings=settings)

    def conditions(self, content: str) -> str:
        return f'<conditions xmlns="{self.EVERY}" xmlns:nc="{NC}">{content}</conditions>'

    async def test_no_right_is_needed(self, login: Login) -> None:
        boss, guest = await login("retter"), await login("gast")
        kept = rule("all", "permit", "create read update exec", module="*")
        await configured(boss, nacm(rules(kept), write_default="deny", exec_default="permit"))
        there = "<mode>fast</mode><leaf-when>x</leaf-when><entry-when><k>a</k></entry-when><numbers>1</numbers>"
        await configured(boss, self.conditions(there))
        for gone in ("leaf-when", "numbers"):
            reply = await guest.edit(self.conditions(f'<{gone} nc:operation="remove"/>'), target="running")
            assert not reply.ok, gone
        reply = await guest.edit(self.conditions("<mode>slow</mode>"), target="running")
        assert reply.ok, reply.text
        found = (await boss.get_config()).data
        text = etree.tostring(found, encoding="unicode")
        assert "leaf-when" not in text
        assert "entry-when" not in text
        assert "<numbers>1" in text
