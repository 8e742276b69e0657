"""mlag-agent-state: what the agent shows of itself."""

from __future__ import annotations

from mlag_client.testing import RunningAgent, assert_yang_valid

NS = "urn:mlag-agent:yang:mlag-agent-state"
FILTER = ("subtree", f'<agent xmlns="{NS}"/>')


def test_a_leniency_is_counted_where_a_test_can_see_it(mlag_agent: RunningAgent) -> None:
    with mlag_agent.connect() as manager:
        assert not list(manager.get(FILTER).data.iter(f"{{{NS}}}leniency"))
        manager.edit_config(target="candidate", config="<config><m-lag/></config>")
        reply = manager.get(FILTER)
        rows = {
            row.findtext(f"{{{NS}}}name"): row.findtext(f"{{{NS}}}count")
            for row in reply.data.iter(f"{{{NS}}}leniency")
        }
        assert rows == {"element-without-namespace": "2"}
        assert_yang_valid(reply, mlag_agent)


def test_what_is_out_of_sync_is_named(mlag_agent: RunningAgent) -> None:
    mlag_agent.device.agent.transactor.out_of_sync["synchronisation engine"] = "could not take the port back"
    with mlag_agent.connect() as manager:
        reply = manager.get(FILTER)
    (row,) = reply.data.iter(f"{{{NS}}}out-of-sync")
    assert row.findtext(f"{{{NS}}}subscriber") == "synchronisation engine"
    assert row.findtext(f"{{{NS}}}error") == "could not take the port back"
    assert_yang_valid(reply, mlag_agent)
