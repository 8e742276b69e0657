"""The behaviour of a fan tray."""

from mlag_agent.hooks import Call, Change, Device, action, fail, rpc, state, subscriber

MAX_FANS = 4


@rpc("acme-fan:stop-all")
def stop_all(call: Call):
    if not call.input["reason"]:
        fail("say why", tag="invalid-value", app_tag="no-reason", path="reason")
    return {"stopped": len(call.device.config("/acme-fan:fans/fan") or [])}


@action("/acme-fan:fans/fan/test")
async def test(call: Call):
    name = call.keys["fan"]["name"]
    if call.input["seconds"] > 10:
        call.device.publish("/acme-fan:fans/fan/stalled", {"rpm": 0}, at=call.path)
        return {"passed": False}
    return {"passed": name != "broken"}


@state("/acme-fan:fans")
def fans(device: Device):
    configured = device.config("/acme-fan:fans/fan") or []
    return {"fan": [{"name": fan["name"], "rpm": fan.get("speed", 50) * 60} for fan in configured]}


@subscriber("/acme-fan:fans")
class Tray:
    def prepare(self, change: Change):
        if len(change.new("/acme-fan:fans/fan") or []) > MAX_FANS:
            fail(f"there is room for {MAX_FANS} fans", app_tag="no-room", path="/acme-fan:fans")

    def commit(self, plan):
        """The fans turn as configured from here on."""
