"""edit-config, commit, validate, copy-config, delete-config and the reading of what they leave (RFC 6241 section 7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from mlag_agent.app import Device
from netconf_client import DML, NC, Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]

GROUP = "/dfs-m-lag:m-lag/dfs-groups/dfs-group[id='1']"
SOURCE = f"{GROUP}/peer-link-source"
EXAMPLE = group(channel())
EMPTY = f"<data xmlns:x='{NC}'/>"
IPV4 = channel("10.1.1.1", "10.1.1.2", family="ipv4")
XC = f'xmlns:nc="{NC}"'


def op(operation: str, content: str = "") -> str:
    """The example's group with an operation on the ipv6 container."""
    return group(f'<ipv6 {XC} nc:operation="{operation}">{content}</ipv6>')


INNER = (
    "<local-address>2001:db8:1::1</local-address><peer-address>2001:db8:1::2</peer-address><tcp-port>3000</tcp-port>"
)


class TestExample:
    async def test_candidate_then_commit(self, session: Client) -> None:
        assert (await session.edit(EXAMPLE)).ok
        assert (await session.get_config("running")).data[:] == []
        assert (await session.get_config("candidate")).leaf("ipv6", "tcp-port") == "2048"
        assert (await session.commit()).ok
        running = await session.get_config("running")
        assert running.leaf("ipv6", "local-address") == "2001:db8:1::1"
        assert running.leaf("ipv6", "peer-address") == "2001:db8:1::2"
        assert running.leaf("ipv6", "tcp-port") == "2048"

    async def test_running(self, session: Client) -> None:
        assert (await session.edit(EXAMPLE, "running")).ok
        assert (await session.get_config("running")).leaf("ipv6", "tcp-port") == "2048"
        assert (await session.get_config("candidate")).leaf("ipv6", "tcp-port") == "2048"

    async def test_values_come_back_canonical(self, session: Client) -> None:
        await session.edit(group(channel("2001:0DB8:1:0:0:0:0:1", "2001:DB8:1::0:2", "2048")))
        found = await session.get_config("candidate")
        assert (found.leaf("local-address"), found.leaf("peer-address")) == ("2001:db8:1::1", "2001:db8:1::2")

    async def test_replies_to_equal_requests_are_equal_texts(self, session: Client) -> None:
        await session.edit(EXAMPLE)
        one, two = (await session.get_config("candidate")).text, (await session.get_config("candidate")).text
        assert one.partition(">")[2] == two.partition(">")[2]


class TestOperations:
    async def test_merge_keeps_what_is_not_named(self, session: Client) -> None:
        await session.edit(EXAMPLE)
        await session.edit(group("<ipv6><tcp-port>3000</tcp-port></ipv6>"))
        found = await session.get_config("candidate")
        assert (found.leaf("tcp-port"), found.leaf("local-address")) == ("3000", "2001:db8:1::1")

    async def test_replace(self, session: Client) -> None:
        await session.edit(group(channel(), password="secret-12"))
        assert (await session.edit(op("replace", INNER))).ok
        found = await session.get_config("candidate")
        assert (found.leaf("tcp-port"), found.leaf("password") is None) == ("3000", False)

    async def test_create(self, session: Client) -> None:
        assert (await session.edit(op("create", INNER))).ok
        error = (await session.edit(op("create", INNER))).error
        assert (error.tag, error.path) == ("data-exists", f"{SOURCE}/ipv6")

    async def test_delete(self, session: Client) -> None:
        error = (await session.edit(op("delete"))).error
        assert (error.tag, error.path) == ("data-missing", f"{SOURCE}/ipv6")
        await session.edit(EXAMPLE)
        assert (await session.edit(op("delete"))).ok
        assert (await session.get_config("candidate")).leaf("ipv6") is None

    async def test_remove(self, session: Client) -> None:
        assert (await session.edit(op("remove"))).ok

    async def test_default_operation_none_asks_for_what_is_there(self, session: Client) -> None:
        options = "<default-operation>none</default-operation>"
        error = (await session.edit(op("create", INNER), options=options)).error
        assert (error.tag, error.path) == ("data-missing", GROUP)
        await session.edit(group())
        assert (await session.edit(op("create", INNER), options=options)).ok

    async def test_default_operation_replace(self, session: Client) -> None:
        await session.edit(EXAMPLE + vpn("red"))
        assert (await session.edit(group(IPV4), options="<default-operation>replace</default-operation>")).ok
        found = await session.get_config("candidate")
        assert found.leaf("ipv4", "tcp-port") == "2048"
        assert found.leaf("ipv6") is None
        assert found.leaf("network-instance") is None

    async def test_no_data_is_left_of_a_failed_edit(self, session: Client) -> None:
        await session.edit(EXAMPLE)
        before = await session.get_config("candidate")
        reply = await session.edit(vpn("red") + op("create", INNER))
        assert reply.error.tag == "data-exists"
        assert (await session.get_config("candidate")).data[0][:] is not None
        assert (await session.get_config("candidate")).leaf("network-instance") is None
        assert before.leaf("tcp-port") == "2048"

    async def test_unknown_default_operation(self, session: Client) -> None:
        error = (await session.edit(EXAMPLE, options="<default-operation>delete</default-operation>")).error
        assert (error.tag, error.type, error.path) == (
            "invalid-value", "protocol", "/ietf-netconf:edit-config/default-operation",
        )  # fmt: skip
        assert '"delete"' in error.message

    async def test_no_config(self, session: Client) -> None:
        error = (await session.rpc("<edit-config><target><candidate/></target></edit-config>")).error
        assert (error.tag, error.type) == ("missing-element", "protocol")

    async def test_no_target(self, session: Client) -> None:
        errors = (await session.rpc(f"<edit-config><config>{EXAMPLE}</config></edit-config>")).errors
        assert {(error.tag, error.type) for error in errors} == {("missing-element", "protocol")}

    async def test_url_is_not_there(self, session: Client) -> None:
        reply = await session.rpc("<edit-config><target><running/></target><url>file:///x</url></edit-config>")
        assert "unknown-element" in {error.tag for error in reply.errors}


class TestTestOption:
    """An absent test-option on the candidate checks types only: the whole is checked at commit or validate."""

    incomplete = group("<ipv6><tcp-port>2048</tcp-port></ipv6>")

    async def test_absent_on_candidate_checks_types_only(self, session: Client) -> None:
        assert (await session.edit(self.incomplete)).ok
        assert (await session.edit(group("<ipv6><tcp-port>80000</tcp-port></ipv6>"))).error.tag == "invalid-value"

    async def test_set(self, session: Client) -> None:
        assert (await session.edit(self.incomplete, options="<test-option>set</test-option>")).ok

    async def test_test_then_set(self, session: Client) -> None:
        reply = await session.edit(self.incomplete, options="<test-option>test-then-set</test-option>")
        assert {(error.tag, error.path) for error in reply.errors} == {
            ("data-missing", f"{SOURCE}/ipv6/local-address"),
            ("data-missing", f"{SOURCE}/ipv6/peer-address"),
        }
        assert (await session.get_config("candidate")).data[:] == []

    async def test_test_only(self, session: Client) -> None:
        for target in ("candidate", "running"):
            assert (await session.edit(EXAMPLE, target, "<test-option>test-only</test-option>")).ok
            assert (await session.get_config(target)).data[:] == []
            reply = await session.edit(self.incomplete, target, "<test-option>test-only</test-option>")
            assert {error.tag for error in reply.errors} == {"data-missing"}

    async def test_running_is_always_checked(self, session: Client) -> None:
        for options in ("", "<test-option>set</test-option>"):
            assert (await session.edit(self.incomplete, "running", options)).errors
        assert (await session.get_config("running")).data[:] == []


class TestErrorOption:
    bad_and_good = vpn("red") + group("<ipv6><tcp-port>80000</tcp-port><local-address>nonsense</local-address></ipv6>")

    @pytest.mark.parametrize("option", ["", "stop-on-error", "rollback-on-error"])
    async def test_nothing_is_kept(self, session: Client, option: str) -> None:
        options = f"<error-option>{option}</error-option>" if option else ""
        reply = await session.edit(self.bad_and_good, options=options)
        assert {(error.tag, error.path) for error in reply.errors} == {
            ("invalid-value", f"{SOURCE}/ipv6/tcp-port"),
            ("invalid-value", f"{SOURCE}/ipv6/local-address"),
        }
        assert (await session.get_config("candidate")).data[:] == []

    async def test_continue_keeps_what_is_right(self, session: Client) -> None:
        reply = await session.edit(self.bad_and_good, options="<error-option>continue-on-error</error-option>")
        assert len(reply.errors) == 2
        assert (await session.get_config("candidate")).leaf("network-instance", "name") == "red"

    async def test_continue_on_running_names_wrong_values_and_violations(self, session: Client) -> None:
        config = vpn("red") + group("<ipv6><tcp-port>80</tcp-port><local-address>nonsense</local-address></ipv6>")
        reply = await session.edit(config, "running", "<error-option>continue-on-error</error-option>")
        found = {(error.tag, error.app_tag) for error in reply.errors}
        assert {("invalid-value", None), ("operation-failed", "tcp-port-well-known")} <= found
        assert (await session.get_config("running")).data[:] == []

    async def test_continue_with_entries_whose_keys_are_bad(self, session: Client) -> None:
        entries = "".join(f"<dfs-group><id>{key}</id></dfs-group>" for key in ("x", "", " ", "1"))
        config = f'<m-lag xmlns="{DML}"><dfs-groups>{entries}</dfs-groups></m-lag>'
        reply = await session.edit(config, options="<error-option>continue-on-error</error-option>")
        assert {error.tag for error in reply.errors} <= {"invalid-value", "bad-element"}
        assert (await session.get_config("candidate")).leafs("id") == ["1"]

    async def test_continue_with_deletes(self, session: Client) -> None:
        config = vpn("red") + op("delete")
        reply = await session.edit(config, "running", "<error-option>continue-on-error</error-option>")
        assert reply.error.tag == "data-missing"
        assert (await session.get_config("running")).leaf("network-instance", "name") == "red"


class TestViolations:
    async def test_every_violation_of_a_commit_in_one_reply(self, session: Client) -> None:
        await session.edit(group(channel("fe80::1", "::1", 80, vpn_instance="red")))
        reply = await session.commit()
        found = {(error.tag, error.app_tag, error.path) for error in reply.errors}
        assert found == {
            ("operation-failed", "address-link-local", f"{SOURCE}/ipv6/local-address"),
            ("operation-failed", "address-loopback", f"{SOURCE}/ipv6/peer-address"),
            ("operation-failed", "tcp-port-well-known", f"{SOURCE}/ipv6/tcp-port"),
            ("data-missing", "instance-required", f"{SOURCE}/ipv6/vpn-instance"),
        }
        for error in reply.errors:
            assert error.namespaces["dfs-m-lag"] == DML
            leaf = (error.path or "").rpartition("/")[2]
            assert error.message.startswith(f'{leaf} "'), error.message
            assert error.type == "application"
        assert (await session.get_config("running")).data[:] == []
        assert (await session.get_config("candidate")).leaf("tcp-port") == "80"

    async def test_every_wrong_value_of_an_edit_in_one_reply(self, session: Client) -> None:
        config = group(channel("10.1.1.1", "2001:db8::zz", 0)) + f'<m-lag2 xmlns="{DML}"/>'
        reply = await session.edit(config)
        assert [error.tag for error in reply.errors].count("invalid-value") == 3
        assert [error.tag for error in reply.errors].count("unknown-element") == 1

    async def test_a_list_entry_without_its_key(self, session: Client) -> None:
        await session.edit(EXAMPLE)
        config = f'<m-lag xmlns="{DML}"><dfs-groups><dfs-group>{channel()}</dfs-group></dfs-groups></m-lag>'
        reply = await session.edit(config)
        assert "missing-element" in {error.tag for error in reply.errors}

    async def test_state_cannot_be_configured(self, session: Client) -> None:
        reply = await session.edit(
            f'<m-lag xmlns="{DML}"><dfs-groups><dfs-group><id>1</id><state/></dfs-group></dfs-groups></m-lag>'
        )
        error = reply.error
        assert (error.tag, error.info["bad-element"]) == ("unknown-element", "state")
        assert "config false" in error.message


class TestCommit:
    async def test_without_a_change(self, session: Client) -> None:
        assert (await session.commit()).ok

    async def test_discard(self, session: Client) -> None:
        await session.edit(EXAMPLE)
        assert (await session.rpc("<discard-changes/>")).ok
        assert (await session.get_config("candidate")).data[:] == []

    async def test_clean_candidate_follows_running(self, session: Client) -> None:
        """Ansible with target running on a server with :candidate: lock, edit, get candidate, commit, unlock."""
        assert (await session.rpc("<lock><target><running/></target></lock>")).ok
        options = "<error-option>stop-on-error</error-option>"
        assert (await session.edit(EXAMPLE, "running", options)).ok
        assert (await session.get_config("candidate")).leaf("tcp-port") == "2048"
        assert (await session.commit()).ok
        assert (await session.rpc("<unlock><target><running/></target></unlock>")).ok
        assert (await session.get_config("running")).leaf("tcp-port") == "2048"

    async def test_edits_of_running_by_two_sessions_at_once_are_both_kept(
        self, device: Device, connect: Connect
    ) -> None:
        one, two = await connect(device), await connect(device)
        async with device.agent.transactor.quiet():
            one.send(f"<edit-config><target><running/></target><config>{vpn('red')}</config></edit-config>")
            two.send(f"<edit-config><target><running/></target><config>{vpn('blue')}</config></edit-config>")
            # Both are in the agent's hands once a third session, asked after them, has its answer.
            three = await connect(device)
            assert (await three.get_config("candidate")).data[:] == []
        assert (await one.receive()).ok
        assert (await two.receive()).ok
        assert (await one.get_config("running")).leafs("name") == ["blue", "red"]

    async def test_commit_of_a_clean_candidate_does_not_undo_an_edit_under_way(
        self, device: Device, connect: Connect
    ) -> None:
        one, two = await connect(device), await connect(device)
        async with device.agent.transactor.quiet():
            one.send(f"<edit-config><target><running/></target><config>{vpn('red')}</config></edit-config>")
            three = await connect(device)
            await three.get_config("running")
            two.send("<commit/>")
            await three.get_config("running")
        assert (await one.receive()).ok
        assert (await two.receive()).ok
        assert (await one.get_config("running")).leafs("name") == ["red"]

    async def test_what_is_edited_during_a_commit_stays_in_the_candidate(
        self, device: Device, connect: Connect
    ) -> None:
        one, two = await connect(device), await connect(device)
        await one.edit(vpn("red"))
        async with device.agent.transactor.quiet():
            one.send("<commit/>")
            assert (await two.edit(vpn("blue"))).ok
        assert (await one.receive()).ok
        assert "blue" in (await two.get_config("candidate")).leafs("name")


class TestValidate:
    async def test_datastores(self, session: Client) -> None:
        for name in ("running", "candidate"):
            assert (await session.rpc(f"<validate><source><{name}/></source></validate>")).ok
        await session.edit(group("<ipv6/>"))
        reply = await session.rpc("<validate><source><candidate/></source></validate>")
        assert {error.tag for error in reply.errors} == {"data-missing"}
        assert len(reply.errors) == 3

    async def test_inline(self, session: Client) -> None:
        inline = "<validate><source><config>{}</config></source></validate>"
        assert (await session.rpc(inline.format(EXAMPLE))).ok
        error = (await session.rpc(inline.format(group(channel(port=22))))).error
        assert error.app_tag == "tcp-port-well-known"
        error = (await session.rpc(inline.format(group(channel(port=70000))))).error
        assert error.tag == "invalid-value"

    async def test_no_source(self, session: Client) -> None:
        for text in ("<validate/>", "<validate><source/></validate>"):
            errors = (await session.rpc(text)).errors
            assert {(error.tag, error.type) for error in errors} == {("missing-element", "protocol")}


COPY = "<copy-config><target><{}/></target><source>{}</source></copy-config>"


class TestCopyConfig:
    async def test_candidate_to_running(self, session: Client) -> None:
        await session.edit(EXAMPLE)
        assert (await session.rpc(COPY.format("running", "<candidate/>"))).ok
        assert (await session.get_config("running")).leaf("tcp-port") == "2048"
        # The candidate has nothing that running has not: it can be locked.
        assert (await session.rpc("<lock><target><candidate/></target></lock>")).ok

    async def test_running_to_candidate(self, session: Client) -> None:
        await session.edit(vpn("red"), "running")
        await session.edit(EXAMPLE)
        assert (await session.rpc(COPY.format("candidate", "<running/>"))).ok
        found = await session.get_config("candidate")
        assert found.leafs("name") == ["red"]
        assert found.leaf("tcp-port") is None

    async def test_inline(self, session: Client) -> None:
        await session.edit(vpn("red"), "running")
        assert (await session.rpc(COPY.format("running", f"<config>{EXAMPLE}</config>"))).ok
        found = await session.get_config("running")
        assert (found.leaf("tcp-port"), found.leafs("name")) == ("2048", [])
        assert (await session.rpc(COPY.format("candidate", f"<config>{vpn('blue')}</config>"))).ok
        assert (await session.get_config("candidate")).leafs("name") == ["blue"]

    async def test_inline_is_checked(self, session: Client) -> None:
        reply = await session.rpc(COPY.format("running", f"<config>{group(channel(port=80))}</config>"))
        assert reply.error.app_tag == "tcp-port-well-known"
        reply = await session.rpc(COPY.format("candidate", f"<config>{group(channel(port=70000))}</config>"))
        assert reply.error.tag == "invalid-value"

    async def test_onto_itself(self, session: Client) -> None:
        error = (await session.rpc(COPY.format("running", "<running/>"))).error
        assert (error.tag, error.type) == ("invalid-value", "protocol")

    async def test_startup(self, start: Start, connect: Connect) -> None:
        session = await connect(await start(startup=True))
        await session.edit(EXAMPLE)
        assert (await session.rpc(COPY.format("startup", "<candidate/>"))).ok
        assert (await session.get_config("startup")).leaf("tcp-port") == "2048"
        assert (await session.get_config("running")).data[:] == []
        assert (await session.rpc("<discard-changes/>")).ok
        assert (await session.rpc(COPY.format("candidate", "<startup/>"))).ok
        assert (await session.commit()).ok
        assert (await session.get_config("running")).leaf("tcp-port") == "2048"

    async def test_startup_is_checked(self, start: Start, connect: Connect) -> None:
        session = await connect(await start(startup=True))
        reply = await session.rpc(COPY.format("startup", f"<config>{group(channel(port=80))}</config>"))
        assert reply.error.app_tag == "tcp-port-well-known"
        assert (await session.get_config("startup")).data[:] == []

    async def test_without_startup(self, session: Client) -> None:
        reply = await session.rpc(COPY.format("startup", "<running/>"))
        assert reply.error.tag == "operation-not-supported"
        assert "startup" in reply.errors[0].message


class TestDeleteConfig:
    async def test_startup(self, start: Start, connect: Connect) -> None:
        session = await connect(await start(startup=True))
        assert (await session.rpc(COPY.format("startup", f"<config>{EXAMPLE}</config>"))).ok
        assert (await session.rpc("<delete-config><target><startup/></target></delete-config>")).ok
        assert (await session.get_config("startup")).data[:] == []

    async def test_without_startup(self, session: Client) -> None:
        reply = await session.rpc("<delete-config><target><startup/></target></delete-config>")
        error = reply.errors[0]
        assert (error.tag, error.info.get("bad-element")) == ("operation-not-supported", "startup")

    @pytest.mark.parametrize("name", ["running", "candidate"])
    async def test_others_cannot_be_deleted(self, start: Start, connect: Connect, name: str) -> None:
        session = await connect(await start(startup=True))
        reply = await session.rpc(f"<delete-config><target><{name}/></target></delete-config>")
        assert reply.errors[0].tag == "unknown-element"
        assert name in reply.errors[0].message


class TestReading:
    async def test_filters(self, session: Client) -> None:
        assert (await session.edit(EXAMPLE + vpn("red"), "running")).ok
        assert (await session.edit(vpn("blue"), "running")).ok
        found = await session.get_config("running", f'<m-lag xmlns="{DML}"/>')
        assert found.leaf("tcp-port") == "2048"
        assert found.leafs("network-instance") == []
        found = await session.get_config("running", vpn("red"))
        assert found.leafs("name") == ["red"]
        assert (await session.get_config("running", '<m-lag xmlns="urn:none"/>')).data[:] == []

    async def test_empty_filter_selects_nothing(self, session: Client) -> None:
        await session.edit(EXAMPLE, "running")
        reply = await session.rpc('<get-config><source><running/></source><filter type="subtree"/></get-config>')
        assert reply.data[:] == []

    async def test_get_config_needs_a_source(self, session: Client) -> None:
        errors = (await session.rpc("<get-config/>")).errors
        assert {(error.tag, error.type) for error in errors} == {("missing-element", "protocol")}

    async def test_get_has_configuration_and_state(self, session: Client) -> None:
        await session.edit(EXAMPLE, "running")
        found = await session.get(f'<m-lag xmlns="{DML}"/>')
        assert found.leaf("ipv6", "tcp-port") == "2048"
        assert found.leaf("sync-channel", "tcp-port") == "2048"

    async def test_a_reply_of_many_windows(self, session: Client) -> None:
        names = "".join(
            f"<network-instance><name>instance-{number:05}</name></network-instance>" for number in range(20000)
        )
        namespace = "urn:ietf:params:xml:ns:yang:ietf-network-instance"
        config = f'<network-instances xmlns="{namespace}">{names}</network-instances>'
        assert (await session.edit(config, "running")).ok
        assert len((await session.get_config("running")).leafs("name")) == 20000
        assert len((await session.get()).leafs("network-instance")) == 20000
