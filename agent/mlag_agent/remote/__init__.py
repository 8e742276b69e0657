"""Configurations outside of the datastores: what the :url capability (RFC 6241 section 8.8) reads and writes.

``urls.Urls`` takes a URL apart and gives the work to the one that does it: ``file``, ``https``, ``sftp``.  None of them
blocks the event loop, each has a limit of size and time, and no message names a password.
"""
