/** Where pictures stand, what sizes and times are called, and what is kept of a parcel over a reload. */

import 'fake-indexeddb/auto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { durationOf, kindOf, sizeOf, sortOf } from '../src/chat/media'
import { alone, mosaic, ratioOf } from '../src/chat/mosaic'
import { isStuck, parcelOf, pendingOf, progressOf, restored, stored, withThing, type Chosen } from '../src/chat/parcel'
import { openParcelShelf } from '../src/media/parcel-shelf'
import { gathered } from '../src/media/recorder'
import { Slots } from '../src/media/slots'

function chosen(id: string, size = 100): Chosen {
  return { id, kind: 'picture', name: `${id}.png`, type: 'image/png', size, width: 40, height: 30, seconds: 0, levels: [] }
}

const parcel = (...sizes: number[]) =>
  parcelOf({ id: 'a'.repeat(22), conversation: 'c_1', ch: 'conv:c_1', body: { text: 'hi' }, ref: null, at: 5 }, sizes.map((size, at) => chosen(`t${at}`, size)))

describe('a mosaic', () => {
  const sizes = fc.array(fc.record({ width: fc.nat(9_000), height: fc.nat(9_000) }), { minLength: 1, maxLength: 10 })

  it('shows each picture once, in its order, at most four in a row', () => {
    fc.assert(
      fc.property(sizes, (media) => {
        const rows = mosaic(media)
        expect(rows.flat()).toEqual(media.map((_, at) => at))
        for (const row of rows) expect(row.length).toBeLessThanOrEqual(4)
      }),
    )
  })

  it('makes no row a thread or a tower', () => {
    fc.assert(
      fc.property(sizes.filter((media) => media.length > 3), (media) => {
        for (const row of mosaic(media)) {
          const ratio = row.reduce((sum, at) => sum + ratioOf(media[at] ?? {}), 0)
          expect(ratio).toBeGreaterThanOrEqual(0.6)
          expect(ratio).toBeLessThanOrEqual(5.8)
        }
      }),
    )
  })

  it('shows one alone in its own proportions, within the block', () => {
    expect(alone({ width: 1600, height: 1200 }, 420, 400)).toEqual({ width: 420, ratio: 4 / 3 })
    expect(alone({ width: 600, height: 1200 }, 420, 400)).toEqual({ width: 200, ratio: 0.5 })
    expect(alone({ width: 16, height: 16 }, 420, 400)).toEqual({ width: 120, ratio: 1 })
    expect(alone({}, 420, 400)).toEqual({ width: 240, ratio: 1 })
  })
})

describe('words', () => {
  it('tell times and sizes as people do', () => {
    expect([0.4, 12, 72, 3_723].map(durationOf)).toEqual(['0:00', '0:12', '1:12', '1:02:03'])
    expect([0, 640, 999, 12_300, 3_400_000, 52_428_800].map((bytes) => sizeOf(bytes, 'en'))).toEqual(['0 B', '640 B', '999 B', '12 kB', '3.4 MB', '52 MB'])
  })

  it('take a drawing with scripts for a file, and a name for what its end says', () => {
    expect(['image/png', 'image/svg+xml', 'video/mp4', 'audio/mpeg', ''].map(kindOf)).toEqual(['picture', 'file', 'video', 'file', 'file'])
    expect(['a.PDF', 'b.tar.gz', 'c', 'd.xyz'].map(sortOf)).toEqual(['document', 'archive', 'other', 'other'])
  })

  it('show the loudest of each part of a voice', () => {
    expect(gathered([0, 0.1, 0.5, 0.25])).toEqual([0, 20, 99, 50])
    const long = gathered(Array.from({ length: 1_000 }, (_, at) => at))
    expect(long).toHaveLength(64)
    expect(long.at(-1)).toBe(99)
  })
})

describe('a parcel', () => {
  it('is a message on its way, and a failed one when a part of it is stuck', () => {
    const whole = parcel(100, 300)
    expect(pendingOf(whole, true)).toMatchObject({ id: 'a'.repeat(22), kind: 'message', state: 'sending', body: { text: 'hi', media: [{ id: 'local:t0' }, { id: 'local:t1' }] } })
    expect(pendingOf(whole, false).state).toBe('waiting')
    const half = withThing(whole, 't1', (thing) => ({ ...thing, course: { ...thing.course, phase: 'sending', offset: 100 }, moved: 100 }))
    expect(progressOf(half)).toBe(0.5)
    const stuck = withThing(half, 't0', (thing) => ({ ...thing, course: { ...thing.course, phase: 'refused' } }))
    expect(isStuck(stuck)).toBe(true)
    expect(pendingOf(stuck, true).state).toBe('failed')
  })

  it('goes on after a reload from the server’s ids', () => {
    const sent = withThing(parcel(100, 300), 't1', (thing) => ({ ...thing, course: { ...thing.course, phase: 'sending', upload: 'u_1', offset: 200 } }))
    const back = restored(structuredClone(stored(sent)))
    expect(back.things.map(({ course }) => [course.phase, course.upload, course.offset])).toEqual([
      ['new', null, 0],
      ['unsure', 'u_1', 0],
    ])
  })
})

describe('the shelf', () => {
  const files = () => new Map([['t0', new Blob(['one'])], ['t1', new Blob(['three'])]])

  it('keeps parcels with their files, and forgets what is left out or done', async () => {
    const shelf = openParcelShelf('p_1')
    const kept = stored(parcel(3, 5))
    expect(await shelf.keep(kept, files())).toBe(true)
    expect(await shelf.load()).toEqual([kept])
    expect(await shelf.file('t1')).not.toBeNull()
    await shelf.change({ ...kept, things: kept.things.slice(0, 1) })
    expect(await shelf.file('t1')).toBeNull()
    expect(await shelf.file('t0')).not.toBeNull()
    await shelf.remove(kept.id)
    expect([await shelf.has(kept.id), await shelf.file('t0'), await shelf.load()]).toEqual([false, null, []])
  })

  it('brings nothing back that was taken away meanwhile', async () => {
    const shelf = openParcelShelf('p_2')
    await shelf.change(stored(parcel(3)))
    expect(await shelf.load()).toEqual([])
  })

  it('is bounded, and erased as a whole', async () => {
    const shelf = openParcelShelf('p_3', 10)
    expect(await shelf.keep(stored(parcel(3, 5)), files())).toBe(true)
    expect(await shelf.keep({ ...stored(parcel(3)), id: 'b' }, files())).toBe(false)
    await shelf.erase()
    expect(await openParcelShelf('p_3').load()).toEqual([])
  })
})

describe('slots', () => {
  it('let so many work at once, and go on when one fails', async () => {
    const slots = new Slots(2)
    const { signal } = new AbortController()
    let running = 0
    let most = 0
    const work = (fails: boolean) => () => {
      most = Math.max(most, (running += 1))
      return new Promise<void>((resolve, reject) => setTimeout(() => ((running -= 1), fails ? reject(new Error('no')) : resolve()), 1))
    }
    const all = await Promise.allSettled([false, true, false, true, false].map((fails) => slots.run(work(fails), signal)))
    expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'])
    expect(most).toBe(2)
  })
})
