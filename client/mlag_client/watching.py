"""``mlag-client watch``: events as they happen, one line each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from lxml import etree

from mlag_client import render
from mlag_client.documents import MLAG
from mlag_client.errors import NoEvent
from mlag_client.events import NOTIFICATION, REPLAYED, Event

if TYPE_CHECKING:
    from mlag_client.cli import Target

__all__ = ["watch_command"]

GROUP_EVENTS = (
    "sync-channel-up", "sync-channel-down", "peer-link-up", "peer-link-down", "sync-entry-limit",
    "authentication-failed", "dfs-pairing-failed", "dfs-pairing-resumed", "dfs-role-changed", "heartbeat-lost",
    "heartbeat-resumed", "dual-active-detected", "member-port-down",
)  # fmt: skip


class _Moment(click.ParamType[datetime]):
    """A time of RFC 3339, ``2026-11-24T10:00:00Z``; without an offset it is local time."""

    name = "time"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-11-24T10:00:00Z", param, ctx)


MOMENT = _Moment()


@click.command("watch")
@click.option("--all", "everything", is_flag=True, help="All events of the agent, not the DFS group's alone.")
@click.option("--stream", metavar="NAME", help="Event stream.  [default: NETCONF, which has all]")
@click.option("--since", type=MOMENT, help="Past events since then first.")
@click.option("--until", type=MOMENT, help="With --since: end at this time.")
@click.option("--for", "event", metavar="EVENT", help="End with the first event of this name.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many events.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds without an event after which it is over.")
@click.pass_obj
def watch_command(
    target: Target,
    *,
    everything: bool,
    stream: str | None,
    since: datetime | None,
    until: datetime | None,
    event: str | None,
    count: int | None,
    timeout: float | None,
) -> None:
    """Print events until Ctrl-C: the DFS group's, one line each; with --json one document a line.

    With --for, exit code 4 says that the event did not come.
    """
    if until is not None and since is None:
        raise click.UsageError("--until goes with --since")
    seen = 0
    try:
        with target.session() as client:
            wanted = None if everything else _group_filter()
            client.subscribe(stream=stream, filter_element=wanted, start=since, stop=until)
            for found in client.events(timeout):
                if found.name != REPLAYED:
                    seen += 1
                    _show(target, found)
                if found.name == event or seen == count:
                    return
    except KeyboardInterrupt:
        if event is not None:
            raise
    if event is not None:
        raise NoEvent(f"no {event} came", timeout or 0.0)


def _show(target: Target, event: Event) -> None:
    if target.json:
        shown = {"time": event.time, "event": event.name, "namespace": event.namespace, **event.leaves}
        click.echo(render.as_json(shown, indent=None))
    else:
        click.echo(str(event))


def _group_filter() -> etree._Element:
    made = etree.Element(f"{{{NOTIFICATION}}}filter", type="subtree")
    for name in GROUP_EVENTS:
        etree.SubElement(made, f"{{{MLAG}}}{name}", nsmap={None: MLAG})  # type: ignore[dict-item]  # the stubs know no default
    return made
