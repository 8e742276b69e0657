"""How a script that talks to the fan tray can be tested: once with hooks, once with canned replies."""

from pathlib import Path

import pytest
from ncclient.operations import RPCError
from ncclient.xml_ import to_ele

HERE = Path(__file__).parent
FANS = "<config><fans xmlns='urn:acme:fan'>{}</fans></config>"
STOP = "<stop-all xmlns='urn:acme:fan'><reason>{}</reason></stop-all>"
TEST = (
    "<action xmlns='urn:ietf:params:xml:ns:yang:1'><fans xmlns='urn:acme:fan'><fan><name>left</name>"
    "<test><seconds>{}</seconds></test></fan></fans></action>"
)

served = {"modules": ["acme-fan"], "yang_dirs": [HERE]}
with_hooks = pytest.mark.mlag_agent(hooks=[HERE / "hooks.py"], **served)
with_replies = pytest.mark.mlag_agent(replies=[HERE / "replies.xml"], **served)


def configure(manager, *names):
    content = "".join(f"<fan><name>{name}</name></fan>" for name in names)
    manager.edit_config(target="running", config=FANS.format(content))


@with_hooks
def test_rpc_action_and_state(mlag_agent):
    manager = mlag_agent.connect()
    configure(manager, "left", "right")
    assert '<stopped xmlns="urn:acme:fan">2</stopped>' in manager.dispatch(to_ele(STOP.format("night"))).xml
    assert '<passed xmlns="urn:acme:fan">true</passed>' in manager.dispatch(to_ele(TEST.format(3))).xml
    assert "<rpm>3000</rpm>" in manager.get(filter=("subtree", "<fans xmlns='urn:acme:fan'/>")).xml
    assert [entry.operation for entry in mlag_agent.log] == [
        "ietf-netconf:edit-config",
        "acme-fan:stop-all",
        "/acme-fan:fans/fan[name='left']/test",
        "ietf-netconf:get",
    ]
    assert all(entry.ok for entry in mlag_agent.log)


@with_hooks
def test_what_the_tray_refuses(mlag_agent):
    with pytest.raises(RPCError, match="room for 4 fans"):
        configure(mlag_agent.connect(), "a", "b", "c", "d", "e")


@with_hooks
def test_notification(mlag_agent):
    manager = mlag_agent.connect()
    configure(manager, "left")
    manager.create_subscription()
    manager.dispatch(to_ele(TEST.format(60)))
    assert "<stalled><rpm>0</rpm></stalled>" in manager.take_notification(timeout=30).notification_xml


@with_replies
def test_canned_replies(mlag_agent):
    manager = mlag_agent.connect()
    configure(manager, "left")
    assert ">2</stopped>" in manager.dispatch(to_ele(STOP.format("night"))).xml
    with pytest.raises(RPCError, match="the fans are needed"):
        manager.dispatch(to_ele(STOP.format("overheating")))
    assert ">true</passed>" in manager.dispatch(to_ele(TEST.format(60))).xml


@with_replies
def test_put_in_while_it_runs(mlag_agent):
    manager = mlag_agent.connect()
    configure(manager, "left")
    mlag_agent.operational("<fans xmlns='urn:acme:fan'><fan><name>left</name><rpm>77</rpm></fan></fans>")
    assert "<rpm>77</rpm>" in manager.get().xml
    mlag_agent.reply("/ietf-netconf:commit", "<rpc-error><error-tag>operation-failed</error-tag></rpc-error>")
    with pytest.raises(RPCError):
        manager.commit()
    mlag_agent.reset()
    manager.commit()
    manager.create_subscription()
    mlag_agent.notify("<fans xmlns='urn:acme:fan'><fan><name>left</name><stalled><rpm>5</rpm></stalled></fan></fans>")
    assert "<rpm>5</rpm>" in manager.take_notification(timeout=30).notification_xml
