"""What the agent does for each YANG module: one file for each, holding one ``FEATURE``."""
