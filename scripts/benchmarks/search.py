"""Search: how long somebody in 50 conversations waits for an answer out of 200,000 messages, and how fast the index
follows those who write them.

Eight people write in 50 groups, Chinese and English in turn, with words as common and as rare as in real texts. Then
one of them asks: a rare word, a common one, two words, the beginning of one, Chinese words of one to four characters, a
phrase, with and without filters, first pages and second ones. Each query is another one.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from itertools import accumulate
from urllib.parse import urlencode, urlsplit

from scripts.benchmarks import processes, vouch
from scripts.benchmarks.crowd import Crowd, Line, LoadError
from scripts.benchmarks.frames import NONE_OF_THEM, scan
from scripts.benchmarks.people import Person, friends
from scripts.benchmarks.readings import Plan, Reading, percentile
from server.search.indexer import Indexer

SUBJECTS = ("vouch",)

MESSAGES = 200_000
CONVERSATIONS = 50
WRITERS = 8
QUERIES = 400
#: messages a second while it is measured what following them costs
PACE = 1_000
#: unacknowledged messages of one writer
_WINDOW = 16
_ACK = b'{"t":"ack"'
_FOLLOWED = f'vouch_follower_entries_total{{follower="{Indexer.name}"}}'
_PATIENCE = 900.0  # seconds


class Words:
    """Texts whose words are as common as Zipf's law says; the same for every run."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        letters = "etaoinshrdlucmfwypvbgk"
        count = 20_000
        self._words = list(dict.fromkeys(self._word(letters) for _ in range(count)))
        self._characters = [chr(0x4E00 + at) for at in self._random.sample(range(6_000), 3_000)]
        # Chinese words are pairs of characters, most of them.
        self._pairs = ["".join(self._random.choices(self._characters, k=2)) for _ in range(count)]
        self._weights = list(accumulate(1 / (rank + 10) for rank in range(count)))

    def _word(self, letters: str) -> str:
        return "".join(self._random.choices(letters, k=self._random.randint(2, 9)))

    def english(self, count: int) -> list[str]:
        return self._random.choices(self._words, cum_weights=self._weights[: len(self._words)], k=count)

    def chinese(self, count: int) -> list[str]:
        return self._random.choices(self._pairs, cum_weights=self._weights, k=count)

    def texts(self) -> Iterator[str]:
        while True:
            yield " ".join(self.english(self._random.randint(3, 18)))
            yield "".join(self.chinese(self._random.randint(3, 14)))

    def queries(self, conversations: list[str], people: list[Person], now: int) -> Iterator[dict[str, object]]:
        """Never ends; all kinds in turn."""
        chosen, day = self._random.choice, 86_400_000
        while True:
            (common,), rare = self.english(1), chosen(self._words[-5_000:])
            yield {"q": rare}
            yield {"q": common}
            yield {"q": " ".join(self.english(2))}
            yield {"q": rare[: max(2, len(rare) - 2)]}
            yield {"q": chosen(self._characters)}
            yield {"q": self.chinese(1)[0]}
            yield {"q": "".join(self.chinese(2))}
            yield {"q": f'"{" ".join(self.english(2))}"'}
            yield {"q": self.chinese(1)[0], "person": chosen(people).id}
            yield {"q": common, "conversation": chosen(conversations)}
            yield {"q": rare, "kind": "text", "from": now - day, "to": now + day}
            yield {"person": chosen(people).id, "kind": "text"}


class Writers:
    """All who write; `say` sends the next message, to the groups in turn."""

    def __init__(self, crowd: Crowd, people: list[Person], channels: list[str]) -> None:
        self._lines = crowd.open([vouch.opening(person, []) for person in people], self._hear)
        self._channels = channels
        self._texts = Words().texts()
        self.said = 0
        self.acknowledged = 0

    @property
    def waiting(self) -> int:
        return self.said - self.acknowledged

    def say(self) -> None:
        self.said += 1
        line = self._lines[self.said % len(self._lines)]
        ch = self._channels[(self.said * 7 + self.said // 50) % len(self._channels)]
        line.send(vouch.append_frame(ch, self.said, next(self._texts)))

    def _hear(self, line: Line, data: bytes) -> None:
        data = line.rest + data
        found = scan(data, NONE_OF_THEM)
        line.rest = data[found.end :]
        for frame in found.others:
            if frame.payload.startswith(_ACK):
                self.acknowledged += 1
            else:
                line.control([frame])


class Asker:
    """One person on one connection."""

    def __init__(self, url: str, person: Person) -> None:
        self._http = HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._headers = {"Cookie": person.cookie}

    def ask(self, query: dict[str, object]) -> tuple[float, int, str | None]:
        """Seconds, how many hits, and the next page."""
        began = time.perf_counter()
        self._http.request("GET", "/api/v1/search?" + urlencode(query), headers=self._headers)
        answer = self._http.getresponse()
        data = answer.read()
        took = time.perf_counter() - began
        if answer.status != 200:
            raise LoadError(f"a query was refused: {answer.status} {data.decode()}")
        page = json.loads(data)
        return took, len(page["hits"]), page["next"]

    def close(self) -> None:
        self._http.close()


def measure(subject: str, plan: Plan) -> list[Reading]:
    """One turn on a fresh server with an empty database."""
    total = round(MESSAGES * plan.size)
    with vouch.running() as server, Crowd(server.port) as crowd:
        people = friends(server.url, WRITERS)
        channels = [people[0].group(people[1:]) for _ in range(CONVERSATIONS)]
        writers = Writers(crowd, people, channels)
        began = time.perf_counter()
        _flood(crowd, writers, total)
        _followed(server, crowd, total)
        indexed = total / (time.perf_counter() - began)
        share, late = _pace(server, crowd, writers, plan.seconds)
        with closing(Asker(server.url, people[0])) as asker:
            waits = _ask(asker, channels, people, round(QUERIES * min(1.0, plan.size * 2)))
        crowd.check()
    return [
        Reading("p50_ms", percentile(waits, 0.50) * 1000, "ms"),
        Reading("p95_ms", percentile(waits, 0.95) * 1000, "ms"),
        Reading("max_ms", max(waits) * 1000, "ms"),
        Reading("indexed_per_s", indexed, "msg/s"),
        Reading("core_pct_at_1000_per_s", share * 100, "%"),
        Reading("behind_s", late, "s"),
    ]


def _flood(crowd: Crowd, writers: Writers, count: int) -> None:
    until = writers.said + count
    while writers.said < until:
        while writers.waiting < WRITERS * _WINDOW and writers.said < until:
            writers.say()
        crowd.pump(0.1)
    crowd.until(lambda: not writers.waiting, "acknowledgements")


def _followed(server: vouch.Vouch, crowd: Crowd, count: int) -> None:
    """Waits until so many entries (and those of the groups themselves) are in the index."""
    deadline = time.monotonic() + _PATIENCE
    while server.counter(_FOLLOWED) < count:
        crowd.pump(0.2)
        if time.monotonic() > deadline:
            raise LoadError("the index does not keep up")


def _pace(server: vouch.Vouch, crowd: Crowd, writers: Writers, seconds: float) -> tuple[float, float]:
    """PACE messages a second: the server's share of its core, and how long the index needs after the last one."""
    before, followed = processes.cpu_seconds(server.pid), server.counter(_FOLLOWED)
    began, count = time.perf_counter(), round(PACE * seconds)
    for number in range(count):
        while (pause := began + number / PACE - time.perf_counter()) > 0:
            crowd.pump(pause)
        writers.say()
    crowd.until(lambda: not writers.waiting, "acknowledgements")
    written = time.perf_counter()
    _followed(server, crowd, round(followed) + count)
    ended = time.perf_counter()
    return (processes.cpu_seconds(server.pid) - before) / (ended - began), ended - written


def _ask(asker: Asker, channels: list[str], people: list[Person], count: int) -> list[float]:
    """Seconds per query; every third that has a second page asks for it, too."""
    conversations = [ch.removeprefix("conv:") for ch in channels]
    waits, hits = list[float](), 0
    for query in Words().queries(conversations, people, round(time.time() * 1000)):
        took, found, after = asker.ask(query)
        waits.append(took)
        hits += found
        if after is not None and len(waits) % 3 == 0:
            waits.append(asker.ask({**query, "before": after})[0])
        if len(waits) >= count:
            break
    if not hits:
        raise LoadError("nothing was found")
    return waits
