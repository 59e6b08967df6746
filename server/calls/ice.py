"""Which STUN and TURN servers browsers use, and the credentials that a TURN server takes for some hours.

The credentials follow draft-uberti-behave-turn-rest: the user name is `until:person` (seconds since 1970), the password
the base64 of its HMAC-SHA1 under the secret that coturn has as `static-auth-secret`. SHA-1 is what coturn speaks there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta

from server.calls.views import IceServer, IceServers
from server.clock import Clock, to_ms

#: A call is connected anew with fresh ones; this is longer than most calls, and than a night's sleep of a laptop.
HOLDS = timedelta(hours=12)


class Ice:
    def __init__(self, stun: Sequence[str], turn: Sequence[str], secret: str, clock: Clock) -> None:
        self._stun = list(stun)
        self._turn = list(turn)
        self._secret = secret.encode()
        self._clock = clock

    def servers(self, person: str) -> IceServers:
        """What a browser is given. Without servers of one's own there are none: the hub's own address is enough where
        nothing is in between."""
        until = self._clock.now() + HOLDS
        found = [IceServer(self._stun)] if self._stun else []
        if self._turn:
            username = f"{int(until.timestamp())}:{person}"
            digest = hmac.new(self._secret, username.encode(), hashlib.sha1).digest()
            found.append(IceServer(self._turn, username, base64.b64encode(digest).decode()))
        return IceServers(found, to_ms(until))
