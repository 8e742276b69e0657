"""Files of scenarios: what is wrong is named with its place; a failure says what was seen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlag_agent.errors import SettingsError
from mlag_agent.scenario import load, run_file
from mlag_agent.scenario_cli import scenario_command

GROUP = "devices: {device-1: {config: {m-lag: {dfs-groups: {dfs-group: [{id: 1}]}}}}}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "case.yaml"
    path.write_text("name: a case\n" + text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps: [{wait: soon}]", r"\$\.steps\[0\]\.wait"),
        ("steps: [{dance: 1}]", "unknown field `dance`"),
        ("steps: [{}]", "step 1 has no action"),
        ("steps: [{wait: 1}, {wait: 1, stop: device-1}]", "step 2 has the actions stop and wait"),
        ("steps: [{stop: device-3}]", "device-3"),
        ("steps: [{wait: 1, within: 3}]", "'within' beside wait"),
        ("steps: [{wait: 1, refused: x}]", "'refused' beside wait"),
        ("devices: {device-1: {model: CE1}}", "unknown model CE1"),
        ("steps: [", "line 2: is not YAML"),
        ("steps:\n- wait: 1\n- stop: device-1\n  within: 3", r"line 4: step 2 has 'within' beside stop"),
        ("steps:\n- wait: 1\n- wait: soon", "line 4: Expected `float | null`".replace("|", r"\|")),
        ("steps: []\nsteps: [{wait: 1}]", "line 3: steps stands here twice"),
        ("description: a: b", "line 2: is not YAML"),
        ("base: nothing.yaml", "cannot read"),
        ("layers: [{}]", "'layers' is not for files"),
        ("devices: {device-1: {system-mac: hello}}", "system-mac"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(write(tmp_path, text))


def test_only_what_looks_like_a_number_is_one(tmp_path: Path) -> None:
    """YAML 1.1 reads base 60 in a MAC address, octal in 0700, and a truth value in off."""
    text = "devices: {device-1: {system-mac: 12:34:56:12:34:56, release: off, config: {a: [07, 12:30, 7, 1.5, true]}}}"
    device = load(write(tmp_path, text)).devices["device-1"]
    assert (device.system_mac, device.release) == ("12:34:56:12:34:56", "off")
    assert device.config == {"a": ["07", "12:30", 7, 1.5, True]}


@pytest.mark.parametrize("text", ["", "# nothing"])
def test_an_empty_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match="is empty"):
        load(path)


def test_a_base_of_itself_ends(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="bases of bases"):
        load(write(tmp_path, "base: case.yaml"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("devices: {device-1: {config: {m-lag: {dfs-grps: 1}}}}", "/m-lag/dfs-grps: no module has this node; here are"),
        ("devices: {device-1: {config: {m-lag: 5}}}", "/m-lag: a mapping is wanted here, not 5"),
        ("devices: {device-1: {config: {m-lag: {dfs-groups: {dfs-group: {id: 1}}}}}}", "a list is wanted here"),
        ("devices: {device-1: {config: {m-lag: {dfs-groups: {dfs-group: [{id: 7}]}}}}}", "refuses its config"),
        (GROUP + "steps: [{expect: {device-1: {colour: red}}}]", "colour is not in state"),
        (GROUP + "steps: [{expect: {device-1: {nodes/node/role: x}}}]", "node has the keys node-id"),
        (GROUP + "steps: [{expect: {device-1: {'nodes[1]/node': x}}}]", "nodes is no list"),
        (GROUP + "steps: [{expect: {device-1: {/zoo: x}}}]", "no module has zoo"),
        ("steps: [{stop: device-1}, {stop: device-1}]", "stopped already"),
        ("steps: [{start: device-1}]", "is running already"),
        ("steps: [{stop: device-1}, {age: device-1}]", "device-1 is stopped"),
        ("steps: [{learn: {device: device-1, start-address: here}}]", "'here' does not appear to be an IPv4"),
    ],
)
def test_what_cannot_be_done_is_an_error_of_the_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        run_file(write(tmp_path, text))


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("{expect: {device-1: {pair-state: paired}}, within: 5}", "step 1, expect: device-1: pair-state is unpaired, "
         r"not paired \(for 5 s\)"),
        ("{expect: {device-1: {'nodes/node[2]/role': master}}, within: 0}", r"node\[2\]/role is absent, not master"),
        ("{events: {device-1: [heartbeat-lost]}, within: 1}", "no event heartbeat-lost; those since"),
        ("{configure: {device-1: {m-lag: {dfs-groups: {dfs-group: [{id: 1}]}}}}, refused: x}", "accepts what should"),
        ("{configure: {device-1: {m-lag: {dfs-groups: {dfs-group: [{id: 1, priority: 300}]}}}}}", "device-1 refuses"),
    ],
)  # fmt: skip
def test_a_failure_says_what_was_seen(tmp_path: Path, steps: str, words: str) -> None:
    outcome = run_file(write(tmp_path, f"{GROUP}steps: [{steps}]"))
    assert outcome.failure is not None
    assert re.search(words, outcome.failure), outcome.failure


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text()
    (tmp_path / "example.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    outcome = run_file(tmp_path / "example.yaml")
    assert outcome.failure is None, outcome.failure


class TestCommand:
    def test_exit_codes(self, tmp_path: Path) -> None:
        good = write(tmp_path, GROUP + "steps: [{wait: 3600}]")
        bad = tmp_path / "bad.yaml"
        bad.write_text("name: bad\n" + GROUP + "steps: [{expect: {device-1: {pair-state: paired}}, within: 1}]")
        done = CliRunner().invoke(scenario_command, [str(good)])
        assert done.exit_code == 0
        assert "wait 3600 s" in done.output
        done = CliRunner().invoke(scenario_command, ["-q", str(good), str(bad)])
        assert done.exit_code == 1
        assert "1 of 2 scenarios went as written" in done.output
        assert "FAILED at 1.000 s: step 1, expect" in done.output

    def test_real_time_takes_it(self, tmp_path: Path) -> None:
        outcome = run_file(write(tmp_path, GROUP + "steps: [{wait: 0.3}]"), real_time=True)
        assert outcome.failure is None
        assert outcome.real_seconds >= 0.3
