"""The index beside the log: it catches up after a crash, stands two nodes, and gives way to its next version."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from server.realtime.entries import EntryLog
from server.realtime.protocol import Entry
from server.search import repo, writer
from server.search.indexer import Indexer
from server.search.model import Filters
from server.search.postings import ALL_SHARDS
from server.search.repo import Change, IndexRepo, Shelf, Stale
from server.search.terms import terms_of
from server.services import Services
from server.store import StoreError
from tests.conftest import Run
from tests.search.conftest import Library


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shelves and blocks so small that a few messages fill them."""
    monkeypatch.setattr(writer, "SHELF_ROWS", 4)
    monkeypatch.setattr(writer, "BLOCK_MESSAGES", 6)


async def room_with(library: Library, count: int) -> tuple[str, str, list[Entry]]:
    """Somebody, their conversation, and its log of some messages and what was done to them."""
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    seqs = [await library.say(lin, room, f"word{number} 一二三 promise") for number in range(count)]
    await library.append(lin, room, "edit", {"text": "changed promise"}, ref=seqs[1])
    await library.append(lin, room, "delete", {}, ref=seqs[2])
    await library.append(lin, room, "edit", {"text": "changed twice promise"}, ref=seqs[-1])
    await library.indexed()
    return lin, room, await library.log(room)


async def test_seeing_entries_again_changes_nothing(library: Library) -> None:
    """After a crash a follower may be told what it has done already, in other portions."""
    lin, room, entries = await room_with(library, 11)
    ch, index = f"conv:{room}", library.index
    before, terms = await index.shelf(ch), await library.kept()
    again = Indexer(index, EntryLog(library.services.store))
    await again.follow(ch, entries)
    await again.follow(ch, entries[3:8])
    assert (await index.shelf(ch)).version == before.version
    assert await library.kept() == terms
    assert len(await library.numbers(lin, "promise")) == 10


@pytest.mark.parametrize("portions", [(1,), (2, 5), (200,)])
async def test_an_index_made_in_any_portions_is_the_same(library: Library, portions: Sequence[int]) -> None:
    lin, room, entries = await room_with(library, 13)
    ch, terms = f"conv:{room}", await library.kept()
    hits = (await library.find(lin, "promise")).hits
    for name in ("search_shelves", "search_blocks"):
        await library.services.store.collection(name).delete_many({})
    indexer, at, turn = Indexer(library.index, EntryLog(library.services.store)), 0, 0
    while at < len(entries):
        count = portions[turn % len(portions)]
        await indexer.follow(ch, entries[at : at + count])
        at, turn = at + count, turn + 1
    assert await library.kept() == terms
    assert (await library.find(lin, "promise")).hits == hits


async def test_a_lost_index_is_made_anew_with_the_next_entry(library: Library) -> None:
    lin, room, _ = await room_with(library, 9)
    terms = await library.kept()
    for name in ("search_shelves", "search_blocks"):
        await library.services.store.collection(name).delete_many({})
    assert await library.numbers(lin, "promise") == []
    last = await library.say(lin, room, "promise me")
    assert (await library.numbers(lin, "promise"))[0] == last
    assert len(await library.numbers(lin, "promise")) == 9
    assert terms <= await library.kept()


async def test_what_another_version_has_made_gives_way(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    lin, room, entries = await room_with(library, 13)
    await library.made_anew(room)  # in one portion, so that the next version makes the very same blocks
    blocks = library.services.store.collection("search_blocks")
    monkeypatch.setattr(repo, "VERSION", repo.VERSION + 1)
    # Until it is made anew nothing is found, and nothing breaks.
    assert await library.numbers(lin, "promise") == []
    (shelf,) = (await library.index.shelves([f"conv:{room}"])).values()
    assert shelf.outdated
    assert shelf.outdated_blocks
    await Indexer(library.index, EntryLog(library.services.store)).follow(f"conv:{room}", entries)
    assert len(await library.numbers(lin, "promise")) == 12
    shelf = await library.index.shelf(f"conv:{room}")
    kept = {int(row["_id"].split("|")[1]) for row in await blocks.find({}).to_list(None)}
    assert kept == {block.first for block in shelf.blocks}
    assert not shelf.outdated


async def test_two_nodes_follow_one_conversation(nodes: tuple[Services, Services]) -> None:
    """Both write the index; compare and set keeps them from losing each other's words."""
    here, there = nodes
    library, beside = Library(here), Library(there)
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    await asyncio.gather(
        *(library.say(lin, room, f"here{number} promise") for number in range(9)),
        *(beside.say(mei, room, f"there{number} promise") for number in range(9)),
    )
    await library.indexed()
    await beside.indexed()
    page = await here.search.find(lin, "promise", Filters(), None, 50)
    assert len(page.hits) == 18
    assert (await there.search.find(mei, "promise", Filters(), None, 50)).hits == page.hits
    gone = page.hits[7].entry
    await library.append(gone.by, room, "delete", {}, ref=gone.seq)
    await library.indexed()
    await beside.indexed()
    assert str(gone.body["text"]).split()[0] not in await library.kept()


async def test_a_word_does_not_come_back_by_a_slower_writer(library: Library) -> None:
    """One node packs what it has read while another takes a word out: the slower one fails and begins again."""
    lin, room, _ = await room_with(library, 6)
    ch, index = f"conv:{room}", library.index
    if not (await index.shelf(ch)).lines:  # packed with the last portion
        await library.say(lin, room, "one more")
        await library.indexed()
    mine = await index.shelf(ch)
    yours = await index.shelf(ch)
    del yours.lines[0]
    await index.save([Change(yours, None, [])])
    with pytest.raises(Stale):
        await index.save([Change(mine, None, [])])
    assert (await index.shelf(ch)).lines == yours.lines
    fresh = Shelf("conv:c_new")
    await index.save([Change(fresh, [], [])])
    with pytest.raises(Stale):
        await index.save([Change(Shelf("conv:c_new"), [], [])])


async def test_one_stale_change_does_not_keep_others_from_being_written(library: Library) -> None:
    lin, mei = await library.friends("lin", "mei")
    rooms = [await library.direct(lin, mei), await library.group(lin, mei)]
    await library.indexed()
    indexer = Indexer(library.index, EntryLog(library.services.store))
    for room in rooms:
        await indexer.follow(f"conv:{room}", await library.log(room))  # both are remembered now
    for room in rooms:
        await library.say(lin, room, "promise")
    await library.indexed()  # the services' own indexer has changed both
    logs = {room: await library.log(room) for room in rooms}
    await asyncio.gather(*(indexer.follow(f"conv:{room}", log) for room, log in logs.items()))
    assert len(await library.numbers(mei, "promise")) == 2


async def test_a_database_that_fails_is_tried_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The follower's mark waits, nothing is remembered that was not written, and then all of it is there."""
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    await library.indexed()
    save, failures = IndexRepo.save, 2

    async def failing(self: IndexRepo, changes: Sequence[Change]) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise StoreError("away")
        await save(self, changes)

    monkeypatch.setattr(IndexRepo, "save", failing)
    seqs = [await library.say(lin, room, f"promise {number}") for number in range(3)]
    assert await library.numbers(mei, "promise") == seqs[::-1]
    assert failures == 0


async def test_large_texts_fill_blocks_by_what_they_weigh(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BLOCK_POSTINGS", 5_000)
    monkeypatch.setattr(writer, "BLOCK_MESSAGES", 1_000)
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    run = "".join(map(chr, range(0x4E00, 0x4E00 + 4_000)))
    seqs = [await library.say(lin, room, run + f" part{number}") for number in range(6)]
    assert await library.numbers(mei, run[2_000:2_010]) == seqs[::-1]
    assert await library.numbers(mei, "part3") == [seqs[3]]
    shelf = await library.index.shelf(f"conv:{room}")
    assert len(shelf.blocks) >= 2
    assert all(block.postings < 5_000 + 2 * 4_100 for block in shelf.blocks)


async def test_a_message_of_another_form_does_not_stop_what_follows(library: Library) -> None:
    lin, mei = await library.friends("lin", "mei")
    room = await library.direct(lin, mei)
    odd = await library.say(lin, room, "promise odd")
    await library.services.store.collection("entries").update_one(
        {"ch": f"conv:{room}", "seq": odd}, {"$set": {"body": {"text": "promise odd", "scent": "lavender"}}}
    )
    plain = await library.say(lin, room, "promise plain")
    await library.made_anew(room)
    assert await library.numbers(mei, "promise") == [plain]


WORDS = st.lists(st.sampled_from(["alpha", "beta", "图书馆", "一言为定", "gamma delta", "Ω"]), min_size=1, max_size=3)
ACTS = st.one_of(
    st.tuples(st.just("say"), WORDS),
    st.tuples(st.just("edit"), WORDS),
    st.tuples(st.just("delete"), st.integers(0, 100)),
)


@given(acts=st.lists(ACTS, min_size=1, max_size=25), portion=st.integers(1, 7))
@settings_of_hypothesis(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_the_index_holds_the_terms_of_the_texts_and_nothing_else(
    run: Run[None], services: Services, acts: list[tuple[str, object]], portion: int
) -> None:
    """Whatever is said, edited and deleted, in whatever portions it is followed (a model of the log beside it)."""
    run(_play(services, acts, portion))


async def _play(services: Services, acts: list[tuple[str, object]], portion: int) -> None:
    texts, entries = dict[int, str](), list[Entry]()
    ch = f"conv:c_{services.clock.now().timestamp():.6f}".replace(".", "")
    log = _Log(entries)
    for seq, (act, what) in enumerate(acts, start=1):
        about = sorted(texts)[hash(str(what)) % len(texts)] if texts else 0
        if act == "say" or not texts:
            text = " ".join(what) if isinstance(what, list) else "said"
            texts[seq] = text
            entries.append(Entry(seq, seq, seq * 1000, "p_lin", "i", "message", {"text": text}))
        elif act == "edit":
            texts[about] = " ".join(what) if isinstance(what, list) else ""
            entries.append(Entry(seq, seq, seq * 1000, "p_lin", "i", "edit", {"text": texts[about]}, ref=about))
        else:
            del texts[about]
            log.gone.add(about)
            entries.append(Entry(seq, seq, seq * 1000, "p_lin", "i", "delete", {}, ref=about))
    index = IndexRepo(services.store)
    indexer = Indexer(index, log)
    for at in range(0, len(entries), portion):
        await indexer.follow(ch, entries[at : at + portion])
    expected = {term for text in texts.values() for term in terms_of(text)}
    shelf = await index.shelf(ch)
    found = {term for line in shelf.lines for term in repo.row(line).terms}
    wanted = [(ch, block.first, name) for block in shelf.blocks for name in ALL_SHARDS]
    for shard in (await index.shards(wanted)).values():
        found |= set(shard.open())
    assert {term for term in found if term[0] not in "@#"} == expected
    assert {repo.number(line) for line in shelf.lines} <= texts.keys()


class _Log(EntryLog):
    """A log that is not kept; deleting scrubs before it is told, as the hub does it."""

    def __init__(self, entries: list[Entry]) -> None:
        self._all = entries
        self.gone = set[int]()

    async def among(self, ch: str, seqs: Sequence[int]) -> list[Entry]:
        found = [entry for entry in self._all if entry.seq in seqs]
        return [
            Entry(entry.seq, entry.n, entry.at, entry.by, entry.id, entry.kind, {}, entry.ref, gone=True)
            if entry.seq in self.gone
            else entry
            for entry in found
        ]
