/** A connection of media that falls and comes back, by a clock of the test's own. */

import { beforeEach, describe, expect, it } from 'vitest'

import type { Clock } from '../src/calls/clock'
import { Connecting, waitBefore, type Line, type Link, type LinkState } from '../src/calls/connecting'
import { Fault } from '../src/api/fault'

class Time implements Clock {
  at = 0
  #waiting: { readonly at: number; readonly run: () => void }[] = []

  now(): number {
    return this.at
  }

  random(): number {
    return 1
  }

  after(milliseconds: number, run: () => void): () => void {
    const one = { at: this.at + milliseconds, run }
    this.#waiting.push(one)
    return () => (this.#waiting = this.#waiting.filter((each) => each !== one))
  }

  async pass(milliseconds: number): Promise<void> {
    const until = this.at + milliseconds
    await settle()
    for (;;) {
      const next = this.#waiting.filter((each) => each.at <= until).toSorted((a, b) => a.at - b.at)[0]
      if (!next) break
      this.#waiting = this.#waiting.filter((each) => each !== next)
      this.at = next.at
      next.run()
      await settle()
    }
    this.at = until
  }

  get waiting(): number {
    return this.#waiting.length
  }
}

/** Everything that follows from what has happened has happened. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await Promise.resolve()
}

class FakeLine extends EventTarget {
  connectionState: RTCPeerConnectionState = 'new'

  become(state: RTCPeerConnectionState): void {
    this.connectionState = state
    this.dispatchEvent(new Event('connectionstatechange'))
  }
}

class FakeLink implements Link {
  readonly line = new FakeLine()
  readonly connection = this.line as unknown as Line
  readonly answers: string[] = []
  closed = false

  offer(): Promise<string> {
    return Promise.resolve('offer')
  }

  answer(sdp: string): Promise<void> {
    this.answers.push(sdp)
    return Promise.resolve()
  }

  close(): void {
    this.closed = true
  }
}

let time: Time
let links: FakeLink[]
let states: LinkState[]
let asked: number
let refuse: (() => Error) | null
let subject: Connecting<FakeLink>

beforeEach(() => {
  time = new Time()
  links = []
  states = []
  asked = 0
  refuse = null
  subject = new Connecting<FakeLink>(
    {
      make() {
        const link = new FakeLink()
        links.push(link)
        return Promise.resolve(link)
      },
      connect() {
        asked += 1
        return refuse ? Promise.reject(refuse()) : Promise.resolve({ id: `cx_${asked}`, answer: 'answer' })
      },
      up: () => Promise.resolve(),
      state: (state) => void (states.at(-1) !== state && states.push(state)),
    },
    time,
  )
})

const last = (): FakeLink => links.at(-1) as FakeLink
async function live(): Promise<void> {
  subject.begin()
  await time.pass(0)
  last().line.become('connected')
  await settle()
}

describe('waiting', () => {
  it('is longer each time, bounded, and never shorter than the server asks', () => {
    expect([0, 1, 2, 3, 4, 5, 50].map((tries) => waitBefore(tries, null, 1))).toEqual([0, 500, 1_000, 2_000, 4_000, 4_000, 4_000])
    expect(waitBefore(2, null, 0)).toBe(500)
    expect(waitBefore(1, 7, 0.5)).toBe(7_000)
  })
})

describe('a connection', () => {
  it('is tried at once, and live when the browser says so', async () => {
    await live()
    expect(asked).toBe(1)
    expect(last().answers).toEqual(['answer'])
    expect(subject.id).toBe('cx_1')
    expect(subject.link).toBe(last())
    expect(states).toEqual(['connecting', 'live'])
  })

  it('bears a blink, and is made anew within three seconds of a silence', async () => {
    await live()
    await time.pass(60_000)
    const first = last()
    first.line.become('disconnected')
    await time.pass(2_000)
    first.line.become('connected')
    await time.pass(10_000)
    expect(asked).toBe(1)
    first.line.become('disconnected')
    await time.pass(3_000)
    expect(asked).toBe(2)
    expect(first.closed).toBe(true)
    last().line.become('connected')
    await settle()
    expect(states.at(-1)).toBe('live')
  })

  it('is made anew at once when it has failed', async () => {
    await live()
    await time.pass(60_000)
    last().line.become('failed')
    await time.pass(0)
    expect(asked).toBe(2)
    expect(states).toContain('lost')
  })

  it('does not go round and round when it falls as soon as it is up', async () => {
    subject.begin()
    await time.pass(0)
    for (let fall = 0; fall < 200; fall += 1) {
      last().line.become('connected')
      await settle()
      last().line.become('failed')
      await time.pass(100)
    }
    // 20 s: at once, then after 0.5, 1, 2 and 4 s, as long as it goes on.
    expect(asked).toBeLessThan(12)
    expect(asked).toBeGreaterThan(4)
  })

  it('waits longer from refusal to refusal, tells it, and goes on', async () => {
    refuse = () => new Fault('offline', 'no answer')
    subject.begin()
    await time.pass(30_000)
    expect(asked).toBeGreaterThan(6)
    expect(asked).toBeLessThan(12)
    expect(states).toEqual(['connecting', 'lost', 'failed'])
    expect(links.every((link) => link.closed)).toBe(true)
    refuse = null
    await time.pass(4_000)
    last().line.become('connected')
    await settle()
    expect(states.at(-1)).toBe('live')
  })

  it('comes at once when the network is back, but not sooner than the server wants', async () => {
    refuse = () => new Fault('offline', 'no answer')
    subject.begin()
    await time.pass(10_000)
    const before = asked
    refuse = null
    subject.hurry()
    await settle()
    expect(asked).toBe(before + 1)
    refuse = () => new Fault('too_often', 'slowly', null, 20)
    last().line.become('failed')
    await time.pass(4_000)
    const then = asked
    subject.hurry()
    await time.pass(19_000)
    expect(asked).toBe(then)
    await time.pass(1_000)
    expect(asked).toBe(then + 1)
  })

  it('leaves what is under way alone when it is hurried', async () => {
    subject.begin()
    await time.pass(0)
    subject.hurry()
    await settle()
    expect(asked).toBe(1)
    expect(last().closed).toBe(false)
  })

  it('gives up a connection that does not come about', async () => {
    subject.begin()
    await time.pass(3_999)
    expect(asked).toBe(1)
    await time.pass(1_000)
    expect(asked).toBe(2)
    expect(links[0]?.closed).toBe(true)
  })

  it('begins anew when it is told to, and lets go of the old one', async () => {
    await live()
    const first = last()
    subject.begin()
    await time.pass(0)
    expect(first.closed).toBe(true)
    expect(asked).toBe(2)
    last().line.become('connected')
    first.line.become('failed')
    await time.pass(60_000)
    expect(asked).toBe(2)
    expect(states.at(-1)).toBe('live')
  })

  it('leaves nothing behind when it is closed, also in the middle of a try', async () => {
    await live()
    subject.close()
    await time.pass(60_000)
    expect(last().closed).toBe(true)
    expect(subject.link).toBeNull()
    expect(time.waiting).toBe(0)
    subject.begin()
    await time.pass(60_000)
    expect(asked).toBe(1)
  })

  it('asks the server for nothing when it is closed before the offer is there', async () => {
    subject.begin()
    const passing = time.pass(0)
    subject.close()
    await passing
    expect(asked).toBe(0)
    expect(links.every((link) => link.closed)).toBe(true)
    expect(time.waiting).toBe(0)
  })
})
