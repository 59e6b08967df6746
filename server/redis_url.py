"""Where Redis is: one URL for one server or for a cluster, and the clients made from it.

`redis://`, `rediss://` and `unix://` name one server. `redis+cluster://user:password@host:port,host:port` (with TLS
`rediss+cluster://`) names some nodes of a cluster; the others are found through them.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from server.errors import StartupError

_MARK = "+cluster://"
_PORT = 6379

#: What the client of either kind is used for: commands on single keys, and pipelines of them without a transaction.
Client = Redis | RedisCluster
#: Everything that can be raised while Redis is away, changing or refusing.
FAULTS = (RedisError, RedisClusterException, OSError, TimeoutError)


class RedisUrl:
    """A URL, taken apart. Raises StartupError `bad_redis_url`; nothing is connected yet."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cluster = _MARK in url
        try:
            addresses = _addresses(url) if self.cluster else [url]
            options: list[dict[str, Any]] = [dict(parse_url(address)) for address in addresses]
            if not options:
                raise ValueError("it names no server")
        except (ValueError, TypeError) as fault:
            raise StartupError("bad_redis_url", f"VOUCH_REDIS_URL is not usable: {fault}.") from None
        #: where a cluster is found: host and port of some of its nodes
        self.seeds = [(str(each.pop("host", "localhost")), int(each.pop("port", _PORT))) for each in options]
        #: what besides host and port every connection needs: sign-in, TLS
        self.options: dict[str, Any] = options[0]
        self.tls = self.options.get("connection_class") is SSLConnection

    def client(self, timeout: float) -> Client:
        """Commands that give up after `timeout` seconds; a cluster's are asked of the node that has the key."""
        if not self.cluster:
            return Redis.from_url(self.url, socket_timeout=timeout, socket_connect_timeout=timeout)
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in self.seeds],
            retry=Retry(NoBackoff(), 2),
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            **self.cluster_options(),
        )

    def server(self, place: tuple[str, int] | None = None, **options: Any) -> Redis:
        """One server: the only one, or the cluster's node at `place`. It never reconnects by itself, because whoever
        listens must notice each loss."""
        retry = Retry(NoBackoff(), 0)
        if place is None:
            return Redis.from_url(self.url, socket_connect_timeout=5.0, retry=retry, **options)
        host, port = place
        both = self.cluster_options() | options
        return Redis(host=host, port=port, socket_connect_timeout=5.0, retry=retry, **both)

    def cluster_options(self) -> dict[str, Any]:
        """The options as the cluster's client takes them."""
        kept = {name: value for name, value in self.options.items() if name not in ("connection_class", "db")}
        return kept | {"ssl": True} if self.tls else kept


def _addresses(url: str) -> list[str]:
    """One plain URL for each of the nodes that are named."""
    scheme, _, rest = url.partition(_MARK)
    authority, slash, _ = rest.partition("/")
    authority, _, query = (authority if slash else rest).partition("?")
    query = query or rest.partition("?")[2]
    sign_in, at, hosts = authority.rpartition("@")
    tail = f"?{query}" if query else ""
    return [f"{scheme}://{sign_in}{at}{host}{tail}" for host in hosts.split(",") if host]
