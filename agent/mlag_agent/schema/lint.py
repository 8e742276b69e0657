"""``make yang``: pyang's lint over our modules, and each loads in libyang on every device model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mlag_agent.errors import SchemaError
from mlag_agent.models import DEFAULT_MODEL, MODELS
from mlag_agent.schema.library import SchemaLibrary, own_folders, standard_folders, yang_folder
from mlag_agent.schema.nodes import ModuleRequest

__all__ = ["lint", "main"]

# pyang's other lint rules are the IETF's own: names and namespaces that begin with "ietf" and a copyright text.
_LINT = (
    "--lint",
    "--lint-namespace-prefix=urn:mlag-agent:yang:",
    "--lint-modulename-prefix=dfs",
    "--lint-modulename-prefix=mlag",
    "--lint-ensure-hyphenated-names",
    "--max-line-length=80",
)

# Modules that we have written for the names of an RFC that has none, or that pyang does not bring along, are as it has
# them.
_OURS = "urn:mlag-agent:yang:"
_NAMES = (
    "the module name should start with",
    "namespace value should be",
    "is not hyphenated",
)

# pyang warns of a statement that says what is the default anyway; in a deviation that is the point of it.
_EXPECTED = ('statement "mandatory" is given with its default value "false"',)


def lint(module: Path) -> list[str]:
    """What pyang has to say of a module, less what is expected."""
    folders = ":".join(map(str, (*own_folders(), *standard_folders())))
    command = [sys.executable, "-m", "pyang.scripts.pyang_tool", *_LINT, f"--path={folders}", str(module)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    expected = _EXPECTED if _OURS in module.read_text(encoding="utf-8") else (*_EXPECTED, *_NAMES)
    found = [line for line in lines if not any(text in line for text in expected)]
    if done.returncode not in (0, 1) and not found:
        found.append(f"{module.name}: pyang ended with {done.returncode}")
    return found


def main() -> int:
    """Lint and load all modules of ``yang/``; 0 when there is nothing to say."""
    modules = sorted(yang_folder().glob("*.yang"))
    problems = [line for module in modules for line in lint(module)]
    # All models' deviations are of one pattern: those of two say what pyang has to say of any.
    models = [MODELS[DEFAULT_MODEL], next(model for model in MODELS.values() if not model.ipv6)]
    problems += [line for model in models for line in lint(yang_folder() / "models" / f"{model.deviations}.yang")]
    names = [module.stem for module in modules if not module.read_text(encoding="utf-8").startswith("submodule")]
    for model in models:
        requests = [ModuleRequest(name, model.features if name == "dfs-m-lag" else ()) for name in names]
        try:
            SchemaLibrary.load([*requests, ModuleRequest(model.deviations)])
        except SchemaError as error:
            problems.append(f"model {model.name}: {error}")
    for line in problems:
        print(line)
    if not problems:
        print(f"{len(modules)} modules pass pyang's lint and load in libyang: {', '.join(names)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
