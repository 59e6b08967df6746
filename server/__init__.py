"""Vouch: a realtime hub for communities in which people keep promises to each other."""

__version__ = "0.1.0"
