"""``mlag-agent ctl``: a Unix socket in the state folder, one JSON object a line in each direction."""
