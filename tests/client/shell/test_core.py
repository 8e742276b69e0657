"""The shell against a real agent: views, marks, commits, undo, display and help."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

import mlag_client.session as session_module
from mlag_agent.app import Device
from mlag_client import connect
from mlag_client.client import DfsClient
from mlag_client.shell import Shell
from mlag_client.shell.cli import device_name, run_lines
from mlag_client.shell.core import Mode
from netconf_client import PASSWORD, USER

CHANNEL = "peer-link source ipv6 2001:db8:1::1 peer 2001:db8:1::2 tcp-port 2048"


@pytest.fixture
def client(agent_thread: Callable[..., Device]) -> Iterator[DfsClient]:
    device = agent_thread("leaf-1")
    with connect("127.0.0.1", device.port, USER, PASSWORD) as client:
        yield client
        client.manager.discard_changes()
        client.manager.edit_config("<config/>", target="running", default_operation="replace")


@pytest.fixture
def shell(client: DfsClient) -> Shell:
    return Shell(client.session, device_name(client.session, "x"))


def run(shell: Shell, *lines: str) -> list[str]:
    """Prompts and answers, as a person sees them."""
    seen: list[str] = []
    run_lines(shell, lines, seen.append, keep_going=True)
    return seen


def answer(shell: Shell, line: str) -> str:
    return shell.execute(line).text


class TestViews:
    def test_prompts(self, shell: Shell) -> None:
        lines = [
            "system-view", "dfs-group 1", "quit", "interface Eth-Trunk1", "vlan 5", "ip vpn-instance red", "return",
            "quit",
        ]  # fmt: skip
        assert run(shell, *lines) == [
            "<leaf-1>system-view", "[~leaf-1]dfs-group 1", "[*leaf-1-dfs-group-1]quit", "[*leaf-1]interface Eth-Trunk1",
            "[*leaf-1-Eth-Trunk1]vlan 5", "[*leaf-1-vlan5]ip vpn-instance red", "[*leaf-1-vpn-instance-red]return",
            "Warning: there are uncommitted changes; they stay in the candidate of this session.", "<leaf-1>quit",
        ]  # fmt: skip

    def test_entering_what_exists_changes_nothing(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", "commit", "quit", "dfs-group 1")
        assert shell.prompt == "[~leaf-1-dfs-group-1]"

    def test_a_change_that_changes_nothing_leaves_the_mark(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", "priority 150", "commit", "priority 150")
        assert shell.prompt == "[~leaf-1-dfs-group-1]"

    def test_a_view_is_left_with_what_it_configures(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", "undo dfs-group 1")
        assert shell.prompt == "[~leaf-1]"

    def test_immediately(self, shell: Shell, client: DfsClient) -> None:
        assert answer(shell, "system-view immediately") == "Each command takes effect at once."
        run(shell, "dfs-group 1", CHANNEL)
        assert shell.prompt == "[leaf-1-dfs-group-1]"
        found = client.peer_link()
        assert found is not None
        assert found.tcp_port == 2048

    def test_what_is_refused_immediately_is_gone(self, shell: Shell) -> None:
        run(shell, "system-view immediately", "dfs-group 1")
        refused = shell.execute("peer-link source ipv6 fe80::1 peer 2001:db8::2 tcp-port 2048")
        assert refused.error
        assert "A link-local address (fe80::/10) cannot carry the channel." in refused.text
        assert not shell._differs()

    def test_commands_belong_to_views(self, shell: Shell) -> None:
        for line in ("commit", "dfs-group 1", "priority 5"):
            assert shell.execute(line).error
        run(shell, "system-view")
        assert shell.execute("priority 5").error
        assert shell.execute("system-view").error

    def test_keywords_may_be_shortened(self, shell: Shell) -> None:
        run(shell, "sys", "dfs-group 1", "prio 120", "comm")
        assert (shell.mode, shell.pending) == (Mode.TWO_STAGE, False)
        assert " priority 120" in answer(shell, "dis th")


class TestCommit:
    def test_nothing_is_in_force_before(self, shell: Shell, client: DfsClient) -> None:
        run(shell, "system-view", "dfs-group 1", CHANNEL)
        assert client.peer_link() is None
        run(shell, "commit")
        assert client.peer_link() is not None

    def test_a_refused_commit_keeps_the_candidate(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", CHANNEL,
            "peer-link source ip 10.0.0.1 peer 10.0.0.2 tcp-port 2048")  # fmt: skip
        refused = shell.execute("commit")
        assert refused.error
        assert refused.text.count("not both; delete one of them") == 2
        assert shell.prompt == "[*leaf-1-dfs-group-1]"
        run(shell, "undo peer-link source ip 10.0.0.1 peer 10.0.0.2 tcp-port 2048")
        assert not shell.execute("commit").error

    def test_clear(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", "priority 5", "clear configuration candidate")
        assert shell.prompt == "[~leaf-1]"  # the group itself was a part of what was dropped

    def test_trial(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", "commit", "priority 5")
        assert "commit" in answer(shell, "commit trial 600")
        assert " priority 5" in answer(shell, "display this")
        assert answer(shell, "abort trial") == "The configuration is as it was before the trial."
        assert " priority 5" not in answer(shell, "display this")

    def test_trial_with_a_name(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", "commit", "priority 5", "commit trial 60 persist change-7")
        assert shell.execute("commit").error
        assert not shell.execute("commit persist change-7").error
        assert shell.execute("abort trial persist change-7").error
        assert " priority 5" in answer(shell, "display this")

    def test_remarks(self, shell: Shell) -> None:
        """The description ends the line and needs no quotes; both are in the list of commits."""
        run(shell, "system-view", "dfs-group 1", 'commit label a123 description "to begin"  with')
        assert shell.prompt == "[~leaf-1-dfs-group-1]"
        run(shell, "priority 5")
        assert not shell.execute('commit trial 600 label "one more" persist me description a trial').error
        run(shell, "abort trial persist me")
        rows = answer(shell, "display configuration commit list").splitlines()
        assert re.split(r"  +", rows[1].strip()) == ["No.", "Time", "User", "Kind", "Label", "Description"]
        newest, before = (re.split(r"  +", row.strip()) for row in rows[3:5])
        assert newest[2:] == [USER, "confirmed", "one more", "a trial"]
        assert before[2:] == [USER, "commit", "a123", "to begin with"]
        assert int(newest[0]) == int(before[0]) + 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", newest[1])

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ("label 1st", "must not begin with a digit or be a hyphen"),
            (f"label {'x' * 257}", "must have 1 to 256 characters"),
            (f"description {'x ' * 31}", "must have 1 to 60 characters"),
            ('persist ""', "must have 1 to 256 characters"),
            ("description", "incomplete command"),
        ],
    )
    def test_limits_of_remarks(self, shell: Shell, words: str, says: str) -> None:
        run(shell, "system-view", "dfs-group 1")
        assert says in answer(shell, f"commit {words}")
        assert shell.pending

    @pytest.mark.parametrize("seconds", ["59", "65536"])
    def test_limits_of_a_trial(self, shell: Shell, seconds: str) -> None:
        run(shell, "system-view")
        assert "must be an integer from 60 to 65535" in answer(shell, f"commit trial {seconds}")


class TestOthers:
    """Two sessions at once."""

    @pytest.fixture
    def two(self, agent_thread: Callable[..., Device]) -> Iterator[tuple[Shell, Shell]]:
        device = agent_thread("leaf-2", candidate="private")
        with (
            connect("127.0.0.1", device.port, USER, PASSWORD) as one,
            connect("127.0.0.1", device.port, USER, PASSWORD) as other,
        ):
            yield Shell(one.session, "leaf-2"), Shell(other.session, "leaf-2")
            other.manager.discard_changes()
            other.manager.edit_config("<config/>", target="running", default_operation="replace")

    def test_refresh(self, two: tuple[Shell, Shell]) -> None:
        """The first commit wins; the other session takes it over, and keeps what is its own alone."""
        mine, its = two
        run(mine, "system-view", "dfs-group 1", "commit", "priority 5", "m-lag up-delay 10")
        run(its, "system-view", "dfs-group 1", "priority 7", "commit")
        refused = mine.execute("commit")
        assert refused.error
        assert "priority" in refused.text
        assert answer(mine, "refresh configuration candidate") == ""
        assert mine.prompt == "[*leaf-2-dfs-group-1]"
        assert answer(mine, "display configuration candidate changes").splitlines() == [
            " dfs-group 1", "+ m-lag up-delay 10",
        ]  # fmt: skip
        assert not mine.execute("commit").error
        assert " priority 7" in answer(mine, "display this")

    def test_a_view_that_others_have_deleted_is_left(self, two: tuple[Shell, Shell]) -> None:
        mine, its = two
        run(mine, "system-view", "vlan 5", "commit", "m-lag peer-link reserved", "vlan 6", "vlan 5")
        run(its, "system-view", "undo vlan 5", "commit")
        assert answer(mine, "refresh configuration candidate") == ""
        assert mine.prompt == "[*leaf-2]"

    def test_one_candidate_for_all_needs_no_refresh(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1")
        refused = shell.execute("refresh configuration candidate")
        assert refused.error
        assert "one candidate for all sessions" in refused.text
        assert shell.prompt == "[*leaf-1-dfs-group-1]"

    def test_where_the_agent_does_not_compare_both_are_read(
        self, shell: Shell, client: DfsClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An agent without RFC 9144, or a user who may not compare."""
        asked = session_module._compare()
        asked.tag = "{urn:example:not-served}compare"
        monkeypatch.setattr(session_module, "_compare", lambda: asked)
        assert client.session.candidate_differs() is None
        run(shell, "system-view", "dfs-group 1")
        assert shell.pending
        run(shell, "undo dfs-group 1")
        assert not shell.pending

    def test_a_refused_line_leaves_the_mark(self, shell: Shell, agent_thread: Callable[..., Device]) -> None:
        """The edit's error is told, whatever the comparison on the same way says."""
        run(shell, "system-view")
        with connect("127.0.0.1", agent_thread("leaf-1").port, USER, PASSWORD) as other:
            other.manager.lock("candidate")
            refused = shell.execute("vlan 5")
        assert refused.error
        assert shell.prompt == "[~leaf-1]"


class TestUndo:
    @pytest.fixture(autouse=True)
    def configured(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", CHANNEL, "priority 150", "m-lag active-standby election arp", "commit")

    def test_every_parameter_again(self, shell: Shell, client: DfsClient) -> None:
        assert not shell.execute(f"undo {CHANNEL}").error
        run(shell, "commit")
        assert client.peer_link() is None

    def test_another_parameter(self, shell: Shell) -> None:
        refused = shell.execute(f"undo {CHANNEL.replace('2048', '2049')}")
        assert refused.text == "Error: tcp-port is 2048, not 2049; an undo form repeats what is configured."
        assert shell.prompt == "[~leaf-1-dfs-group-1]"

    def test_a_parameter_more(self, shell: Shell) -> None:
        refused = shell.execute(f"undo {CHANNEL.replace(' peer ', ' vpn-instance red peer ')}")
        assert refused.text == "Error: vpn-instance is not configured, and the undo form says red."

    def test_what_is_not_configured(self, shell: Shell) -> None:
        assert answer(shell, "undo m-lag up-delay 100") == "Error: 'm-lag up-delay' is not configured."
        assert answer(shell, "undo m-lag active-standby election nd") == (
            "Error: 'm-lag active-standby election' is not configured with nd."
        )
        assert answer(shell, "undo vlan 7") == "Error: VLAN 7 does not exist."

    def test_with_and_without_the_optional_value(self, shell: Shell) -> None:
        assert answer(shell, "undo priority 151") == (
            "Error: priority is 150, not 151; an undo form repeats what is configured."
        )
        assert answer(shell, "undo priority") == ""

    def test_what_is_on_by_default(self, shell: Shell) -> None:
        run(shell, "undo peer-link mac-address remain enable unpaired-port", "commit")
        assert " undo peer-link mac-address remain enable unpaired-port" in answer(shell, "display this")


class TestDisplay:
    def test_this_and_the_whole(self, shell: Shell) -> None:
        run(shell, "system-view", "arp remote-backup-rate limit 100", "dfs-group 1", "priority 150", "commit")
        assert answer(shell, "display this") == "#\ndfs-group 1\n priority 150\n#\nreturn"
        whole = "arp remote-backup-rate limit 100\n#\ndfs-group 1\n priority 150\n#\nreturn"
        assert answer(shell, "display current-configuration") == whole
        run(shell, "quit")
        assert answer(shell, "display this") == "#\narp remote-backup-rate limit 100\n#\nreturn"

    def test_candidate(self, shell: Shell) -> None:
        run(shell, "system-view", "arp remote-backup-rate limit 100", "dfs-group 1", "priority 150", "commit",
            "priority 151", "quit", "undo arp remote-backup-rate limit", "vlan 5")  # fmt: skip
        assert answer(shell, "display configuration candidate changes").splitlines() == [
            "-arp remote-backup-rate limit 100", " dfs-group 1", "- priority 150", "+ priority 151", "+vlan 5",
        ]  # fmt: skip
        assert " priority 151" in answer(shell, "display configuration candidate merge")

    def test_no_change(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", "commit")
        assert answer(shell, "display configuration candidate changes") == ""

    def test_group(self, shell: Shell) -> None:
        assert answer(shell, "display dfs-group 1") == "Info: the DFS group does not exist."
        run(shell, "system-view", "dfs-group 1", "priority 150",
            "dual-active detection source ip 10.0.0.1 peer 10.0.0.2", "m-lag up-delay 100", "commit")  # fmt: skip
        rows = (line.split(": ", 1) for line in answer(shell, "display dfs-group 1").splitlines())
        found = {label.strip(): value for label, value in rows}
        assert re.fullmatch(r"[0-9a-f]{4}(-[0-9a-f]{4}){2}", found.pop("System ID"))
        assert found == {
            "Dfs-Group ID": "1", "Priority": "150", "Dual-active Address": "10.0.0.1", "VPN-Instance": "public net",
            "SysName": "leaf-1", "Up-delay/Interval(s)": "100/0", "Switch-delay": "0",
            "Configuration consistency check": "--", "Type 1 configuration": "--", "Type 2 configuration": "--",
        }  # fmt: skip

    def test_peer_link_and_channel(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", CHANNEL, "interface Eth-Trunk9", "peer-link 1", "commit")
        link = answer(shell, "display dfs-group 1 peer-link")
        assert "Total Interface(s) : 1" in link
        assert "1             Eth-Trunk9              Down        Physical link" in link
        state = answer(shell, "display dfs-group 1 sync-channel")
        assert "Local Address                           : 2001:db8:1::1" in state
        assert "\nARP              0           0" in state

    def test_nodes(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", "priority 150",
            "dual-active detection source ip 10.0.0.1 peer 10.0.0.2", "commit")  # fmt: skip
        assert answer(shell, "display dfs-group 1 heartbeat").splitlines()[:2] == [
            "Heart beat status     : Lost", "Local:",
        ]  # fmt: skip
        assert answer(shell, "display dfs-group 1 m-lag up-delay").splitlines()[1].split() == [
            "M-LAG", "ID", "Interface", "Port", "State", "Error-Down", "Recovery", "Countdown(s)",
        ]  # fmt: skip
        assert "Consistency-check" in answer(shell, "display dfs-group 1 m-lag brief")
        shown = answer(shell, "display dfs-group 1 m-lag").splitlines()
        assert shown[:3] == ["*                    : Local node", "Heart beat state     : Lost", "Node 1 *"]
        assert "  Priority           : 150" in shown
        assert "  Causation          : NOPEERLINK" in shown
        assert "  State              : Master" in shown
        assert re.search(r"^  System ID          : [0-9a-f]{4}(-[0-9a-f]{4}){2}$", "\n".join(shown), re.M)

    def test_history_holds_no_password(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1", "authentication-mode hmac-sha256 password Secret-12")
        history = answer(shell, "display history-command")
        assert "dfs-group 1" in history
        assert "Secret-12" not in history


class TestErrors:
    def test_the_place_is_pointed_at(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1")
        seen = run(shell, "priority 255")
        line, pointer, words = [*seen[:1], *seen[1].split("\n")]
        assert line[pointer.index("^") :] == "255"
        assert words == "Error: value '255' must be an integer from 1 to 254"

    def test_incomplete(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1")
        assert answer(shell, "priority").endswith(
            "^\nError: incomplete command: priority\n  expected there: INTEGER<1-254>"
        )

    def test_no_such_command(self, shell: Shell) -> None:
        assert "unrecognized command at 'reboot'" in answer(shell, "reboot")

    def test_open_quote(self, shell: Shell) -> None:
        run(shell, "system-view")
        assert "a double quote without its end" in answer(shell, 'ip vpn-instance "red')

    def test_comments_and_blank_lines(self, shell: Shell) -> None:
        assert run(shell, "", "# nothing", "! nothing") == ["<leaf-1>", "<leaf-1># nothing", "<leaf-1>! nothing"]

    def test_a_script_ends_at_its_first_error(self, shell: Shell) -> None:
        seen: list[str] = []
        found = run_lines(shell, ["system-view", "nonsense", "dfs-group 1"], seen.append)
        assert found is not None
        assert seen[-1].startswith(" " * len("[~leaf-1]") + "^")
        assert shell.prompt == "[~leaf-1]"


class TestHelp:
    def words(self, shell: Shell, line: str) -> list[str]:
        return [expectation.text for expectation in shell.expected(line)]

    def test_user_view(self, shell: Shell) -> None:
        assert self.words(shell, "") == ["display", "quit", "reset", "system-view"]

    def test_dfs_group_view(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1")
        assert {"priority", "peer-link", "undo", "commit", "m-lag", "quit"} <= set(self.words(shell, ""))
        assert self.words(shell, "dual-active detection ") == ["delay", "error-down", "hold-time", "source"]
        assert self.words(shell, "undo pri") == ["priority"]
        assert self.words(shell, "priority ") == ["INTEGER<1-254>"]
        assert self.words(shell, "priority 5 ") == ["<cr>"]
        assert self.words(shell, "undo priority ") == ["INTEGER<1-254>", "<cr>"]
        assert self.words(shell, "no such ") == []

    def test_every_command_says_what_it_is_for(self, shell: Shell) -> None:
        run(shell, "system-view", "dfs-group 1")
        assert [e.text for e in shell.expected("") if not e.help] == []
