"""Tools without a subject, one a file. Imports: the standard library, netaddr, `errors`."""
