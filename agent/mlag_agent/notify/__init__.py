"""Event notifications: streams with replay, and bounded queues.  Pure: no sockets, no NETCONF messages."""
