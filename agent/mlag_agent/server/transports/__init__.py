"""Transports: what carries the bytes of NETCONF sessions. Sockets of NETCONF are opened here and nowhere else."""
