// @vitest-environment node
/** Whatever is lost, repeated or refused on the way: the server ends with the file's bytes, each once, and nothing else. */

import type { Media } from '@vouch/realtime'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { Fault } from '../src/api/fault'
import type { Upload } from '../src/api/types'
import { carry, type Counter, type Surroundings } from '../src/chat/courier'
import { again, answered, courseOf, faulted, shareOf, stepOf, type Course, type Trouble } from '../src/chat/upload'

const KIB = 1024
const PICTURE: Media = { id: `m_${'0'.repeat(26)}`, kind: 'picture', name: 'a.jpg', type: 'image/webp', size: 9, width: 3, height: 2 }

function bytes(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8)) & 255)
}

/** What becomes of a request: `deaf` does not reach the server, `mute` is done and not answered, `twice` is done twice. */
type Mishap = 'none' | 'deaf' | 'mute' | 'twice' | 'busy' | 'forgotten'

/** Takes uploads as docs/http.md says, on a wire that does `mishaps`, one for each request. */
class Office implements Counter {
  readonly held = new Map<string, Uint8Array[]>()
  mistakes: string[] = []
  requests = 0
  looks = 0
  refusal: 'damaged' | null = null
  #made = 0

  constructor(
    readonly size: number,
    readonly chunk: number,
    readonly mishaps: Mishap[],
    readonly processing = 2,
  ) {}

  create(): Promise<Upload> {
    return this.#answer(null, () => {
      const id = `u_${(this.#made += 1)}`
      this.held.set(id, [])
      return id
    })
  }

  ask(upload: string): Promise<Upload> {
    return this.#answer(upload, () => upload)
  }

  send(upload: string, from: number, piece: Blob): Promise<Upload> {
    if (piece.size > this.chunk) this.mistakes.push(`${piece.size} bytes at once`)
    if (piece.size === 0) this.mistakes.push('an empty piece')
    return piece.arrayBuffer().then((content) =>
      this.#answer(upload, () => {
        if (from !== this.#offset(upload)) throw new Fault('conflict', 'This is not the next byte.')
        this.held.get(upload)?.push(new Uint8Array(content))
        return upload
      }),
    )
  }

  content(upload: string): Buffer {
    return Buffer.concat(this.held.get(upload) ?? [])
  }

  #offset(upload: string): number {
    return (this.held.get(upload) ?? []).reduce((sum, piece) => sum + piece.length, 0)
  }

  async #answer(upload: string | null, act: () => string): Promise<Upload> {
    await Promise.resolve()
    this.requests += 1
    const mishap = this.mishaps.shift() ?? 'none'
    if (mishap === 'deaf') throw new Fault('offline', 'lost')
    if (mishap === 'busy') throw new Fault('try_later', 'busy', null, 1)
    if (mishap === 'forgotten' && upload !== null) this.held.delete(upload)
    if (upload !== null && !this.held.has(upload)) throw new Fault('not_found', 'gone')
    const id = act()
    if (mishap === 'twice') act()
    if (mishap === 'mute') throw new Fault('offline', 'no answer')
    return this.#view(id)
  }

  #view(id: string): Upload {
    const offset = this.#offset(id)
    const view = { id, offset, size: this.size, chunk: this.chunk, media: null, fault: null }
    if (offset < this.size) return { ...view, state: 'receiving' }
    if (this.refusal !== null) return { ...view, state: 'refused', fault: { code: this.refusal, message: 'It is.' } }
    this.looks += 1
    return this.looks > this.processing ? { ...view, state: 'ready', media: PICTURE } : { ...view, state: 'processing' }
  }
}

/** A clock that only rests make move. */
class Time implements Surroundings {
  at = 0
  rests: number[] = []

  now(): number {
    return this.at
  }

  random(): number {
    return 0.5
  }

  rest(milliseconds: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    this.at += milliseconds
    this.rests.push(milliseconds)
    return Promise.resolve(false)
  }

  trouble(error: unknown): Trouble {
    if (!(error instanceof Fault)) throw error
    return error
  }
}

const NEVER = new AbortController().signal
const nothing = (): void => undefined

describe('an upload', () => {
  it('arrives whole through any faults, also over reloads of the page', async () => {
    const mishap = fc.constantFrom<Mishap>('none', 'none', 'deaf', 'mute', 'twice', 'busy')
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 500 * KIB }),
        fc.constantFrom(20 * KIB, 64 * KIB, 1024 * KIB),
        fc.array(mishap, { maxLength: 40 }),
        fc.array(fc.nat(12), { maxLength: 4 }),
        fc.boolean(),
        async (size, chunk, mishaps, reloads, forgetful) => {
          const content = bytes(size)
          const file = new Blob([content])
          const office = new Office(size, chunk, forgetful ? [...mishaps, 'forgotten'] : mishaps)
          const time = new Time()
          let course = courseOf(size)
          for (const steps of reloads) {
            // The page dies after some steps; what is kept of the course is the server's id.
            const dying = new AbortController()
            let left = steps
            await carry(course, file, office, time, dying.signal, (now) => {
              course = now
              if ((left -= 1) < 0) dying.abort()
            }).catch(nothing)
            if (course.phase !== 'ready') course = courseOf(size, course.upload)
          }
          course = await carry(course, file, office, time, NEVER, nothing)
          expect(course.fault).toBeNull()
          expect(course.media).toEqual(PICTURE)
          expect(office.content(course.upload ?? '').equals(content)).toBe(true)
          expect(office.mistakes).toEqual([])
        },
      ),
      { numRuns: 60 },
    )
  }, 30_000)

  it('asks how much has arrived before it sends again', async () => {
    const office = new Office(300 * KIB, 128 * KIB, ['none', 'mute'])
    const steps: string[] = []
    const wire: Counter = {
      create: () => (steps.push('create'), office.create()),
      ask: (upload) => (steps.push('ask'), office.ask(upload)),
      send: (upload, from, piece) => (steps.push(`send ${from / KIB}`), office.send(upload, from, piece)),
    }
    await carry(courseOf(300 * KIB), new Blob([bytes(300 * KIB)]), wire, new Time(), NEVER, nothing)
    expect(steps.slice(0, 4)).toEqual(['create', 'send 0', 'ask', 'send 128'])
  })

  it('waits longer after each fault, at most 20 s, and as long as the server says', async () => {
    const time = new Time()
    const office = new Office(10, 64 * KIB, Array<Mishap>(12).fill('deaf'))
    await carry(courseOf(10), new Blob([bytes(10)]), office, time, NEVER, nothing)
    const waits = time.rests.slice(0, 12)
    expect(waits[0]).toBeLessThan(1_000)
    expect(waits.slice(0, 5)).toEqual(waits.slice(0, 5).toSorted((a, b) => a - b))
    expect(Math.max(...waits)).toBe(15_000)
    expect(faulted(courseOf(10), { code: 'too_often', message: '', retryAfter: 30 }, 0).pause).toBeGreaterThan(30_000)
  })

  it('tries at once when the connection is back', async () => {
    const rests: number[] = []
    const time = new Time()
    time.rest = (milliseconds) => (rests.push(milliseconds), Promise.resolve(true))
    const office = new Office(10, 64 * KIB, ['deaf', 'deaf'], 0)
    const course = await carry(courseOf(10), new Blob([bytes(10)]), office, time, NEVER, nothing)
    expect(course.phase).toBe('ready')
    expect(rests).toHaveLength(2)
  })

  it('ends with what the server says of the content', async () => {
    const office = new Office(10, 64 * KIB, [])
    office.refusal = 'damaged'
    const course = await carry(courseOf(10), new Blob([bytes(10)]), office, new Time(), NEVER, nothing)
    expect(course).toMatchObject({ phase: 'refused', fault: { code: 'damaged' } })
    expect(stepOf(again(course))).toEqual({ do: 'create' })
  })

  it('begins anew when the server has lost it, but not for ever', async () => {
    const office = new Office(10, 64 * KIB, ['none', 'forgotten'])
    expect((await carry(courseOf(10), new Blob([bytes(10)]), office, new Time(), NEVER, nothing)).phase).toBe('ready')
    const forgetful = new Office(10, 64 * KIB, Array.from({ length: 40 }, (_, at): Mishap => (at % 2 ? 'forgotten' : 'none')))
    expect(await carry(courseOf(10), new Blob([bytes(10)]), forgetful, new Time(), NEVER, nothing)).toMatchObject({ phase: 'failed', fault: { code: 'not_found' } })
  })

  it.each(['forbidden', 'too_large', 'limit_reached', 'closed', 'blocked'] as const)('ends when the request itself is refused: %s', (code) => {
    const course = faulted(courseOf(10), { code, message: '', retryAfter: null }, 0)
    expect(course).toMatchObject({ phase: 'failed', fault: { code } })
    expect(again(course)).toMatchObject({ phase: 'new', tries: 0, fault: null })
  })

  it('stops when it is cancelled, in the middle of a pause or of a piece', async () => {
    const cancel = new AbortController()
    const office = new Office(2_000 * KIB, 1024 * KIB, [])
    let told = 0
    const end = carry(courseOf(2_000 * KIB), new Blob([bytes(2_000 * KIB)]), office, new Time(), cancel.signal, () => {
      if ((told += 1) === 3) cancel.abort()
    })
    await expect(end).rejects.toThrow()
    expect(office.requests).toBe(3)
  })
})

describe('the size of pieces', () => {
  const receiving = (offset: number): Upload => ({ id: 'u_1', offset, size: 9_000 * KIB, state: 'receiving', media: null, fault: null, chunk: 1024 * KIB })
  const after = (course: Course, milliseconds: number): Course => answered(course, receiving(course.offset + course.piece), milliseconds)

  it('grows on a fast line up to what the server takes, and shrinks on a slow one', () => {
    let course = answered(courseOf(9_000 * KIB), receiving(0))
    const sizes = [200, 200, 200, 200, 1_500, 5_000, 5_000].map((milliseconds) => (course = after(course, milliseconds)).piece / KIB)
    expect(sizes).toEqual([256, 512, 1024, 1024, 1024, 512, 256])
  })

  it('does not flood a server that keeps nothing', () => {
    const course = answered(courseOf(9_000 * KIB), receiving(0))
    const idle = answered(course, receiving(0), 10)
    expect(idle.pause).toBeGreaterThan(0)
    expect(idle.tries).toBe(1)
  })

  it('tells how far it is, with the piece that is on its way', () => {
    const course = answered(courseOf(9_000 * KIB), receiving(4_500 * KIB))
    expect(shareOf(course)).toBe(0.5)
    expect(shareOf(course, 900 * KIB)).toBeCloseTo(0.6)
    expect(shareOf(courseOf(0))).toBe(0)
  })
})
