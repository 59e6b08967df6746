"""The realtime hub: an append-only log per channel, a gate per channel and node, and the sockets that read it.

Start with `protocol` (the words on the wire), then `entries` (what a log holds), `appender` (how an entry gets its
number), `gate` (how it reaches subscribers once and in order) and `hub` (the front door that domains use).
"""
