"""The wire: framing, XML, messages, capabilities and the session core, all without I/O (standard library and lxml)."""
