"""Every module of the pyang distribution: it is served, or docs/modules.md says why it cannot be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlag_agent.config import Settings, make_modules
from mlag_agent.errors import SchemaError
from mlag_agent.schema.library import SchemaLibrary, standard_folders
from mlag_agent.schema.nodes import ALL_FEATURES, ModuleRequest

NAMES = sorted(file.stem for folder in standard_folders() for file in folder.glob("*.yang"))
TOP = Path(__file__).parents[2]
TABLE = TOP / "docs" / "modules.md"
LIST = TOP / "benchmarks" / "modules60.txt"


def table() -> dict[tuple[str, bool], str]:
    """Module, and whether with all features, to what the error says."""
    found = {}
    for line in TABLE.read_text().splitlines():
        match = re.fullmatch(r"\| `([\w-]+)(:\*)?` \| `(.*)` \| .* \|", line)
        if match is not None:
            found[(match[1], match[2] is not None)] = match[3]
            if "is a submodule" in match[3]:
                found[(match[1], True)] = match[3]
    return found


@pytest.mark.parametrize("everything", [False, True], ids=["no-features", "all-features"])
@pytest.mark.parametrize("name", NAMES)
def test_one_by_one(name: str, everything: bool) -> None:
    request = ModuleRequest(name, (ALL_FEATURES,) if everything else ())
    reason = table().get((name, everything))
    if reason is not None:
        with pytest.raises(SchemaError) as caught:
            SchemaLibrary.load([request])
        assert reason in str(caught.value)
        return
    library = SchemaLibrary.load([request])
    module = library.tree.modules[name]
    assert module.implemented
    assert library.text(library.schemas[(name, module.revision)])
    assert {node.module.implemented for node in library.tree.data.everything() if node is not library.tree.data} <= {
        True
    }


def test_the_table_names_modules_of_the_distribution() -> None:
    assert {name for name, _ in table()} <= set(NAMES)
    assert table()


def test_all_together() -> None:
    """The list of the bench is all that can be served; with the agent's own modules these are more than 60."""
    lines = [line for line in LIST.read_text().splitlines() if not line.startswith("#")]
    requests = make_modules(Settings(modules=tuple(lines)))
    library = SchemaLibrary.load(requests)
    assert len(library.tree.modules) >= 60
    assert all(library.tree.modules[request.name].implemented for request in requests)
    submodules = {name for module in library.tree.modules.values() for name, _, _ in module.submodules}
    assert set(library.tree.modules) | submodules == set(NAMES)


def test_all_together_with_all_features() -> None:
    submodules = {name for name, everything in table() if "is a submodule" in table()[(name, everything)]}
    requests = [ModuleRequest(name, (ALL_FEATURES,)) for name in NAMES if name not in submodules]
    library = SchemaLibrary.load(requests)
    assert all(module.implemented for module in library.tree.modules.values())
    nat = library.tree.modules["ietf-nat"]
    assert "napt44" in nat.features
