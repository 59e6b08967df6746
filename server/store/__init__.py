"""The database: one client, transactions, indexes. The only package that knows the driver (motor)."""

from server.store.client import (
    Collection,
    Document,
    Duplicate,
    Index,
    Store,
    StoreError,
    Tx,
    Unavailable,
)
from server.store.encoding import Encoded, Unstorable, encoded

__all__ = [
    "Collection",
    "Document",
    "Duplicate",
    "Encoded",
    "Index",
    "Store",
    "StoreError",
    "Tx",
    "Unavailable",
    "Unstorable",
    "encoded",
]
