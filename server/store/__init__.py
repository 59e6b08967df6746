"""The database: one client, transactions, indexes. The only package that knows the driver (motor)."""

from pymongo import UpdateOne

from server.store.client import (
    BulkFault,
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
from server.store.gathering import Gathered
from server.store.numbered import Numbered

__all__ = [
    "BulkFault",
    "Collection",
    "Document",
    "Duplicate",
    "Encoded",
    "Gathered",
    "Index",
    "Numbered",
    "Store",
    "StoreError",
    "Tx",
    "Unavailable",
    "Unstorable",
    "UpdateOne",
    "encoded",
]
