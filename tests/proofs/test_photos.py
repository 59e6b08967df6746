"""A live photo from the nonce to the pledge's evidence: what is sealed, and what is refused (R-14)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from hashlib import sha256

import msgspec
import pytest
from PIL import ImageChops, ImageStat

from server.errors import Code, VouchError
from server.proofs import rules
from server.proofs.model import Place, TakePhoto
from server.proofs.worker import drawing
from server.supervision.model import EvidenceKind
from server.supervision.views import AddEvidence, Report, Stamp
from tests.proofs.conftest import HERE as SIGN_IN
from tests.proofs.conftest import Booth
from tests.proofs.scenes import jpeg, opened, scene, shot
from tests.supervision.conftest import StageClock

HERE = Place(latitude=51.5072, longitude=-0.1276, accuracy=18.0)


async def refused(code: Code, attempt: object) -> None:
    with pytest.raises(VouchError) as fault:
        await attempt  # type: ignore[misc]
    assert fault.value.code is code


async def test_what_is_sealed_is_what_was_taken_with_the_watermark(booth: Booth, clock: StageClock) -> None:
    """The picture's pixels are those of the camera; time, title and code are drawn as the rules say."""
    came = shot(7)
    proof = await booth.take(came)
    sealed = opened(await booth.file(proof))
    nonce = "nx_" + proof.code.replace("-", "").lower()
    title = (await booth.load(booth.pledge)).terms.title
    expected = drawing.marked(opened(came).convert("RGB"), rules.lines_of("Emma", title, 1, nonce, clock.at))
    assert sealed.size == expected.size
    assert max(ImageStat.Stat(ImageChops.difference(sealed, expected)).mean) < 2.5
    other = drawing.marked(opened(came).convert("RGB"), rules.lines_of("Emma", title, 1, "nx_" + "z" * 20, clock.at))
    slip = (0, scene().height, 500, sealed.height)
    apart = ImageChops.difference(sealed.crop(slip), other.crop(slip))
    assert (
        max(ImageStat.Stat(apart).mean)
        > max(ImageStat.Stat(ImageChops.difference(sealed.crop(slip), expected.crop(slip))).mean) * 2
    )
    assert proof.sha256 == sha256(await booth.file(proof)).hexdigest()


async def test_it_becomes_evidence_with_the_report(booth: Booth) -> None:
    proof = await booth.take(place=HERE)
    assert proof.media is not None
    await booth.supervision.judging.report(booth.emma, booth.pledge, 1, Report(words="Done", media=[proof.media]))
    listed = await booth.supervision.exhibits.of(booth.tom, booth.pledge)
    row = listed.evidence[-1]
    assert listed.whole
    assert row.kind is EvidenceKind.PHOTO
    assert [(one.id, one.place) for one in row.proofs] == [(proof.id, HERE)]
    kept = (await booth.supervision.evidence.repo.of(booth.pledge))[-1]
    assert kept.digests == (proof.sha256,)
    assert kept.facts["proofs"] == proof.id
    assert await booth.file(proof, by=booth.tom) == await booth.file(proof)
    await refused(Code.NOT_FOUND, booth.proofs.picture(booth.eve, proof.id))
    await refused(Code.NOT_FOUND, booth.proofs.get(booth.eve, proof.id))


async def test_a_photo_can_be_added_as_evidence(booth: Booth) -> None:
    proof = await booth.take()
    body = AddEvidence(words="See", media=[proof.media or ""], task=1)
    listed = await booth.supervision.exhibits.add(booth.emma, booth.pledge, body)
    assert listed.evidence[-1].kind is EvidenceKind.PHOTO
    told = [entry.body["kind"] for entry in await booth.thread(booth.pledge) if entry.kind == "evidence"]
    assert told == ["photo"]


async def test_without_a_nonce_of_ones_own_nothing_is_taken(booth: Booth) -> None:
    await refused(Code.NOT_LIVE, booth.take(nonce="nx_" + "0" * 20))
    nonce = await booth.ask()
    body = TakePhoto(nonce=nonce, picture=shot())
    await refused(Code.NOT_LIVE, booth.proofs.photograph(booth.tom, SIGN_IN, booth.pledge, body))
    other = (await booth.put(booth.emma, booth.tom)).id
    await refused(Code.NOT_LIVE, booth.proofs.photograph(booth.emma, SIGN_IN, other, body))


async def test_a_nonce_is_used_once_and_for_a_minute(booth: Booth, clock: StageClock) -> None:
    nonce = await booth.ask()
    first = await booth.take(shot(1), nonce=nonce)
    assert await booth.take(shot(1), nonce=nonce) == first  # the answer was lost, the client asks again
    await refused(Code.NONCE_USED, booth.take(shot(2), nonce=nonce))
    late = await booth.ask()
    clock.at += rules.LIVES + rules.ON_ITS_WAY
    await booth.take(shot(3), nonce=late)
    stale = await booth.ask()
    clock.at += rules.LIVES + rules.ON_ITS_WAY + timedelta(milliseconds=1)
    await refused(Code.NONCE_STALE, booth.take(shot(4), nonce=stale))


async def test_of_two_pictures_for_one_nonce_at_once_one_is_taken(booth: Booth) -> None:
    nonce = await booth.ask()
    both = await asyncio.gather(*(booth.take(shot(n), nonce=nonce) for n in (1, 2)), return_exceptions=True)
    codes = [one.code for one in both if isinstance(one, VouchError)]
    assert codes == [Code.NONCE_USED]


async def test_a_picture_that_was_shown_before_is_refused(booth: Booth) -> None:
    """The same file, the same encoded anew, smaller, or lighter; and the sealed picture itself."""
    proof = await booth.take(shot(5))
    small = scene(5).resize((640, 480))
    for again in (
        shot(5),
        jpeg(scene(5), quality=60),
        jpeg(small),
        jpeg(scene(5).point(lambda value: min(255, value + 12))),
    ):
        await refused(Code.PICTURE_REUSED, booth.take(again))
    await refused(Code.NOT_LIVE, booth.take(await booth.file(proof)))


async def test_another_shot_of_the_same_scene_is_a_picture_of_its_own(booth: Booth) -> None:
    """Two for two nonces at once, from a hand that moves by a hundredth of the width."""
    first, second = await booth.ask(), await booth.ask()
    both = await asyncio.gather(
        booth.take(shot(6, noise=1), nonce=first), booth.take(shot(6, shift=12, noise=2), nonce=second)
    )
    assert len({proof.id for proof in both}) == 2


async def test_where_it_was_taken_is_kept_only_with_consent(booth: Booth) -> None:
    """GPS in the file goes with everything else; what is said beside the file is kept until the account goes."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (51.0, 30.0, 26.0), 3: "W", 4: (0.0, 7.0, 39.0)}
    came = jpeg(scene(8), exif=exif.tobytes())
    assert opened(came).getexif().get_ifd(0x8825)
    silent = await booth.take(came)
    sealed = await booth.file(silent)
    assert silent.place is None
    assert not opened(sealed).getexif()
    assert b"Exif" not in sealed
    said = await booth.take(shot(9), place=HERE)
    await booth.supervision.judging.report(booth.emma, booth.pledge, 1, Report(media=[said.media or ""]))
    assert (await booth.proofs.get(booth.tom, said.id)).place == HERE
    await booth.services.store.transact(lambda tx: booth.proofs.on_delete(tx, booth.emma))
    assert (await booth.proofs.get(booth.tom, said.id)).place is None


async def test_gallery_pictures_are_refused(booth: Booth) -> None:
    """What another camera or a program has written into a file says that it did not come from the app's camera."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Maker", "Phone 7", "2024:01:01 10:00:00"
    await refused(Code.NOT_LIVE, booth.take(jpeg(scene(10), exif=exif.tobytes())))
    dated = Image.Exif()
    dated[0x8769] = {0x9003: "2024:01:01 10:00:00"}
    await refused(Code.NOT_LIVE, booth.take(jpeg(scene(10), exif=dated.tobytes())))


async def test_only_those_who_may_add_evidence_get_a_nonce(booth: Booth, clock: StageClock) -> None:
    from server.proofs.model import AskNonce

    await refused(Code.NOT_FOUND, booth.proofs.ask(booth.eve, SIGN_IN, booth.pledge, AskNonce(1)))
    await refused(Code.BAD_REQUEST, booth.proofs.ask(booth.emma, SIGN_IN, booth.pledge, AskNonce(99)))
    assert (await booth.proofs.ask(booth.tom, SIGN_IN, booth.pledge, AskNonce())).until > 0


async def test_nonces_of_yesterday_are_forgotten(booth: Booth, clock: StageClock) -> None:
    old = await booth.ask()
    clock.at += timedelta(days=2)
    await booth.ask()
    assert await booth.proofs.repo.nonce(old) is None


async def test_snapshots_enter_the_chain_at_once_and_once(booth: Booth) -> None:
    picture = scene(11)
    more = {"person": booth.emma, "by": booth.tom, "pledge": booth.pledge, "call": "cl_1", "key": "k1", "task": 1}
    first = await booth.proofs.from_picture(picture.tobytes(), *picture.size, **more)
    again = await booth.proofs.from_picture(picture.tobytes(), *picture.size, **more)
    assert msgspec.structs.asdict(again)["id"] == first.id
    listed = await booth.supervision.exhibits.of(booth.emma, booth.pledge)
    assert [one.id for row in listed.evidence for one in row.proofs] == [first.id]
    assert listed.evidence[-1].by is not None
    assert listed.evidence[-1].by.id == booth.tom
    assert listed.whole


async def test_a_snapshot_without_a_promise_is_for_the_two(booth: Booth) -> None:
    picture = scene(12)
    proof = await booth.proofs.from_picture(
        picture.tobytes(), *picture.size, person=booth.emma, by=booth.tom, call="cl_1"
    )
    for one in (booth.emma, booth.tom):
        assert (await booth.proofs.get(one, proof.id)).call == "cl_1"
        assert (await booth.proofs.picture(one, proof.id)).size > 0
    await refused(Code.NOT_FOUND, booth.proofs.get(booth.eve, proof.id))


async def test_the_pictures_of_a_call_are_found_again_by_those_who_may_see_them(
    booth: Booth, clock: StageClock
) -> None:
    picture, made = scene(12), []
    for call, person, by in (
        ("cl_1", booth.emma, booth.tom),
        ("cl_1", booth.tom, booth.emma),
        ("cl_2", booth.tom, booth.emma),
    ):
        clock.at += timedelta(minutes=1)
        made.append(
            await booth.proofs.from_picture(picture.tobytes(), *picture.size, person=person, by=by, call=call, key=call)
        )
    await booth.take()  # of no call
    for one in (booth.emma, booth.tom):
        assert [proof.id for proof in await booth.proofs.of_call(one, "cl_1")] == [made[1].id, made[0].id]
    assert await booth.proofs.of_call(booth.eve, "cl_1") == []
    assert await booth.proofs.of_call(booth.emma, "") == []


async def test_a_location_alone_decides_nothing(booth: Booth) -> None:
    from server.proofs.model import ShareLocation
    from server.supervision.model import Verdict

    await booth.proofs.locate(booth.emma, booth.pledge, ShareLocation(task=1, place=HERE))
    listed = await booth.supervision.exhibits.of(booth.tom, booth.pledge)
    assert listed.whole
    assert listed.evidence[-1].kind is EvidenceKind.LOCATION
    assert listed.evidence[-1].proofs[0].place == HERE
    judging = booth.supervision.judging
    await refused(Code.LOCATION_ALONE, judging.stamp(booth.tom, booth.pledge, 1, Stamp(verdict=Verdict.DONE)))
    assert (await booth.load(booth.pledge)).tasks[0].votes == ()
    await judging.stamp(booth.tom, booth.pledge, 1, Stamp(verdict=Verdict.DONE, words="I saw the pages."))
    assert (await booth.load(booth.pledge)).tasks[0].votes[0].verdict is Verdict.DONE
