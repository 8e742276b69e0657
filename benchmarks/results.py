"""What was measured: kept by figure and server, shown as a table, stored as JSON and Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.targets import FIGURES, Compared, Figure, figure

__all__ = ["OURS", "Result", "Results"]

OURS = "mlag-agent"

HOW_TO_READ = (
    "Medians of interleaved rounds; in brackets the ratio that target and goal bound: to an asyncssh echo with "
    "asyncssh's own cipher, chacha20-poly1305, the unit of PEERS.md. The agent's messages are in AES-GCM, which "
    "asyncssh handles quicker: the column beside has the ratio to an echo in that cipher."
)


@dataclass(frozen=True, slots=True)
class Result:
    """One figure of one server; ``ratio`` to what the figure is compared with."""

    figure: Figure
    server: str
    value: float
    ratio: float | None

    @property
    def measured(self) -> float:
        """What the bounds are held against."""
        return self.value if self.ratio is None else self.ratio

    @property
    def text(self) -> str:
        """Value, unit and ratio."""
        value = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.3g}"
        value = f"{value} {self.figure.unit}" if self.figure.unit else ""
        if self.ratio is None or self.figure.compared is Compared.NOTHING:
            return value
        ratio = f"{self.ratio:,.0f}" if self.ratio >= 100 else f"{self.ratio:.3g}"
        return f"{value} ({ratio})" if value else ratio


class Results:
    """All of a run."""

    def __init__(self) -> None:
        self._all: dict[str, dict[str, Result]] = {}
        self.notes: list[str] = []
        """What the reader must know: peers that are absent, figures that were left out."""

    def add(self, key: str, value: float, *, ratio: float | None = None, server: str = OURS) -> None:
        """One figure."""
        self._all.setdefault(key, {})[server] = Result(figure(key), server, value, ratio)

    def __iter__(self) -> Iterator[tuple[Figure, Mapping[str, Result]]]:
        """In the order of the table."""
        return ((line, self._all[line.key]) for line in FIGURES if line.key in self._all)

    @property
    def _peers(self) -> Sequence[str]:
        seen = dict.fromkeys(name for _, found in self for name in found)
        return [name for name in seen if name not in (OURS, "echo")]

    def _in_same_cipher(self, result: Result | None) -> str:
        """The ratio in echoes that are encrypted as the agent's messages are."""
        gcm = self._all.get("echo-gcm", {}).get("echo")
        compared = None if result is None else result.figure.compared
        if gcm is None or not gcm.ratio or result is None or result.ratio is None or compared is not Compared.ECHOES:
            return ""
        return f"{result.ratio / gcm.ratio:.3g}"

    def _cells(self) -> Iterator[tuple[Figure, Sequence[str]]]:
        for line, found in self:
            ours = found.get(OURS)
            verdict = ""
            if ours is not None and line.target is not None:
                verdict = "met" if line.met(ours.measured, line.target) else "MISSED"
                if line.met(ours.measured, line.goal):
                    verdict = "goal"
            cells = [found[name].text if name in found else "" for name in (OURS, "echo", *self._peers)]
            cells.insert(1, self._in_same_cipher(ours))
            yield line, [line.title, *cells, _bound(line, line.target), _bound(line, line.goal), verdict]

    @property
    def _heads(self) -> Sequence[str]:
        return ["figure", OURS, "in AES-GCM echoes", "echo", *self._peers, "target", "goal", ""]

    def show(self, console: Console) -> None:
        """The table on a terminal."""
        table = Table(title=HOW_TO_READ)
        for head in self._heads:
            left = head in ("figure", "target", "goal", "")
            table.add_column(head, justify="left" if left else "right", no_wrap=True)
        colours = {"met": "green", "goal": "bold green", "MISSED": "red"}
        for _, cells in self._cells():
            verdict = cells[-1]
            table.add_row(*cells[:-1], f"[{colours[verdict]}]{verdict}[/]" if verdict else "")
        console.print(table)
        for note in self.notes:
            console.print(note)

    def store(self, folder: Path) -> tuple[Path, Path]:
        """``latest.json`` and ``latest.md``."""
        folder.mkdir(exist_ok=True)
        facts = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "load": round(os.getloadavg()[0], 2),
            "python": platform.python_version(),
        }
        rows = [
            {
                "figure": line.key,
                "title": line.title,
                "unit": line.unit,
                "compared": line.compared.value,
                "target": line.target,
                "goal": line.goal,
                "met": line.met(found[OURS].measured, line.target) if OURS in found else None,
                "servers": {name: {"value": one.value, "ratio": one.ratio} for name, one in found.items()},
            }
            for line, found in self
        ]
        as_json, as_text = folder / "latest.json", folder / "latest.md"
        as_json.write_text(json.dumps({**facts, "notes": self.notes, "rows": rows}, indent=1) + "\n")
        as_text.write_text(self._markdown(facts))
        return as_json, as_text

    def _markdown(self, facts: Mapping[str, object]) -> str:
        head = ", ".join(f"{name} {value}" for name, value in facts.items())
        lines = [
            "# `make bench`",
            "",
            f"{head}. {HOW_TO_READ}",
            "",
            "| " + " | ".join(self._heads) + " |",
            "|" + " --- |" * len(self._heads),
        ]
        lines += ["| " + " | ".join(cells) + " |" for _, cells in self._cells()]
        lines += ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join(lines) + "\n"


def _bound(line: Figure, bound: float | None) -> str:
    if bound is None:
        return ""
    sign = ">=" if line.more_is_better else "<="
    unit = line.unit if line.compared is Compared.NOTHING else line.compared.value
    return f"{sign} {bound:,.4g} {unit}".rstrip()
