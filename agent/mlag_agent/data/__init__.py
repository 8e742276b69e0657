"""Instance data as frozen trees, and what NETCONF does with it: codec, edit, diff, filter.  Pure: no I/O."""
