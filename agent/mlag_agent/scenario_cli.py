"""``mlag-agent scenario``: run scenarios against a pair of agents in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mlag_agent.scenario import run_file

__all__ = ["scenario_command"]

EXIT_FAILED = 1


@click.command("scenario")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--real-time", is_flag=True, help="Let timers take the time that they say.")
@click.option("-q", "--quiet", is_flag=True, help="Only results, no steps.")
def scenario_command(files: tuple[Path, ...], *, real_time: bool, quiet: bool) -> None:
    """Run the scenarios in FILE... against two agents: links cut and mended, devices stopped, states expected.

    Hours of timers take seconds. Exit code 0: all went as written; 1: one did not; 2: a file is wrong.
    """
    failed = 0
    for path in files:
        click.echo(str(path))

        def tell(at: float, what: str) -> None:
            click.echo(f"  {at:10.3f} s  {what}")

        outcome = run_file(path, (lambda at, what: None) if quiet else tell, real_time=real_time)
        verdict = "ok" if outcome.failure is None else f"FAILED at {outcome.seconds:.3f} s: {outcome.failure}"
        click.echo(f"  {verdict}  ({outcome.name}; {outcome.seconds:,.0f} s in {outcome.real_seconds:.1f} s)")
        failed += outcome.failure is not None
    if len(files) > 1:
        click.echo(f"{len(files) - failed} of {len(files)} scenarios went as written")
    if failed:
        sys.exit(EXIT_FAILED)
