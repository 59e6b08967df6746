"""RFC 6455, section by section, over raw sockets: against the echo program, and partly against the hub.

Together they cover what Autobahn's cases 1 to 7, 9 and 10 look at. Numbers in the names are sections of the RFC.
"""
