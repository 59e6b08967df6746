"""Lin is in the sixth grade: her father looks after money for her, and her aunt is there besides."""

from __future__ import annotations

from collections.abc import Sequence

from server.demo.cast import ids
from server.demo.telling import skipping
from server.services import Services

#: the first one is the payee
GUARDIANS = ("linba", "fang")
WARD = "lin"
#: Each guardian asks and is confirmed. When so much has happened the story is told, whatever a visitor did to it since.
_TOLD = 2 * len(GUARDIANS)


async def tell(services: Services) -> Sequence[str]:
    """Both ask, and Lin confirms."""
    people = await ids(services)
    guardians = services.guardians
    async with skipping():
        ward = people[WARD]
        if (await guardians.repo.get(ward)).version < _TOLD:
            for handle in GUARDIANS:
                async with skipping():
                    await guardians.ask(people[handle], ward=ward, guardian=people[handle])
                async with skipping():
                    await guardians.confirm(ward, ward=ward, guardian=people[handle])
    return ["lin is a minor: linba and fang are her guardians (Me, Family)."]
