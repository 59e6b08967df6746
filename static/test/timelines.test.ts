import type { Entry } from '@vouch/realtime'
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it } from 'vitest'

import type { Loaded } from '../src/chat/timeline'
import { useTimelines } from '../src/stores/timelines'

function entry(seq: number): Entry {
  return { seq, n: seq, at: seq, by: 'p', id: `i${seq}`, kind: 'message', body: { text: `${seq}` } }
}

function page(from: number, to: number, head = to): Loaded {
  return { head, n: head, entries: Array.from({ length: to - from + 1 }, (_, at) => entry(from + at)) }
}

/** Answers that come when the test says so. */
class Source {
  readonly asked: { range: object; answer: (page: Loaded) => void; fail: (why: Error) => void }[] = []

  readonly load = (range: object): Promise<Loaded> =>
    new Promise((answer, fail) => {
      this.asked.push({ range, answer, fail })
    })

  async answer(at: number, with_: Loaded): Promise<void> {
    this.asked[at]?.answer(with_)
    await settled()
  }
}

const settled = (): Promise<void> => new Promise((done) => setTimeout(done))

beforeEach(() => setActivePinia(createPinia()))

function numbers(id: string): number[] {
  return useTimelines()
    .get(id)
    .snapshot.items.map((item) => item.seq)
}

describe('timelines', () => {
  it('join live entries to the page that was on its way', async () => {
    const timelines = useTimelines()
    const source = new Source()
    void timelines.open('a', source.load, 50)
    timelines.entry('a', entry(5))
    timelines.entry('a', entry(6))
    await source.answer(0, page(1, 5))
    expect(numbers('a')).toEqual([1, 2, 3, 4, 5, 6])
    timelines.entry('a', entry(7))
    expect(numbers('a').at(-1)).toBe(7)
  })

  it('load again at a hole', async () => {
    const timelines = useTimelines()
    const source = new Source()
    void timelines.open('a', source.load, 50)
    await source.answer(0, page(1, 3))
    timelines.entry('a', entry(9))
    expect(source.asked).toHaveLength(2)
    await source.answer(1, page(1, 9))
    expect(numbers('a')).toHaveLength(9)
  })

  it('forget at a reset, and take no answer from before it', async () => {
    const timelines = useTimelines()
    const source = new Source()
    void timelines.open('a', source.load, 50)
    timelines.reset('a')
    await source.answer(0, page(1, 3))
    expect(numbers('a')).toEqual([])
    await source.answer(1, page(7, 8))
    expect(numbers('a')).toEqual([7, 8])
  })

  it('load earlier pages one at a time, down to the first', async () => {
    const timelines = useTimelines()
    const source = new Source()
    void timelines.open('a', source.load, 50)
    await source.answer(0, page(5, 6))
    void timelines.loadEarlier('a', 3)
    void timelines.loadEarlier('a', 3)
    expect(source.asked).toHaveLength(2)
    expect(timelines.get('a').earlier).toBe('loading')
    timelines.entry('a', entry(7))
    await source.answer(1, page(3, 4, 7))
    expect(numbers('a')).toEqual([3, 4, 5, 6, 7])
    void timelines.loadEarlier('a', 3)
    expect(source.asked).toHaveLength(2)
  })

  it('tell of failures and try again', async () => {
    const timelines = useTimelines()
    const source = new Source()
    void timelines.open('a', source.load, 50)
    source.asked[0]?.fail(new Error('no'))
    await settled()
    expect(timelines.get('a').state).toBe('failed')
    void timelines.open('a', source.load, 50)
    await source.answer(1, page(2, 3))
    expect(timelines.get('a').state).toBe('ready')
    void timelines.loadEarlier('a', 1)
    source.asked[2]?.fail(new Error('no'))
    await settled()
    expect(timelines.get('a').earlier).toBe('failed')
  })

  it('keep a dozen', async () => {
    const timelines = useTimelines()
    const source = new Source()
    for (let at = 0; at < 13; at += 1) {
      void timelines.open(`c${at}`, source.load, 50)
      await source.answer(at, page(1, 2))
    }
    expect(numbers('c0')).toEqual([])
    expect(numbers('c12')).toEqual([1, 2])
  })

  it('go to a message that is not loaded, down from there, and back to the newest', async () => {
    const timelines = useTimelines()
    const source = new Source()
    void timelines.open('a', source.load, 50)
    await source.answer(0, page(90, 91))
    const gone = timelines.goTo('a', 41)
    expect(source.asked).toHaveLength(3)
    timelines.entry('a', entry(92))
    await source.answer(1, page(40, 41))
    await source.answer(2, page(42, 43))
    expect(await gone).toBe(true)
    expect(numbers('a')).toEqual([40, 41, 42, 43])
    expect(timelines.get('a').later).toBe('idle')
    void timelines.loadLater('a')
    expect(timelines.get('a').later).toBe('loading')
    await source.answer(3, page(44, 45))
    expect(numbers('a')).toEqual([40, 41, 42, 43, 44, 45])
    timelines.toNewest('a')
    expect(numbers('a')).toEqual([90, 91, 92])
    expect(timelines.get('a').later).toBe('none')
    expect(await timelines.goTo('a', 90)).toBe(true)
    expect(source.asked).toHaveLength(4)
  })

  it('go where somebody wanted to go last', async () => {
    const timelines = useTimelines()
    const source = new Source()
    void timelines.open('a', source.load, 50)
    await source.answer(0, page(90, 91))
    const first = timelines.goTo('a', 41)
    const second = timelines.goTo('a', 61)
    await source.answer(3, page(60, 61))
    await source.answer(4, page(62, 63))
    expect(await second).toBe(true)
    await source.answer(1, page(40, 41))
    await source.answer(2, page(42, 43))
    expect(await first).toBe(false)
    expect(numbers('a')).toEqual([60, 61, 62, 63])
  })

  it('stay where they are when a message cannot be loaded', async () => {
    const timelines = useTimelines()
    const source = new Source()
    void timelines.open('a', source.load, 50)
    await source.answer(0, page(90, 91))
    const gone = timelines.goTo('a', 41)
    source.asked[1]?.fail(new Error('no'))
    await expect(gone).rejects.toThrow('no')
    expect(numbers('a')).toEqual([90, 91])
    expect(timelines.get('a').state).toBe('ready')
  })

  it('know nothing of a conversation that nobody opened', () => {
    useTimelines().entry('a', entry(1))
    expect(numbers('a')).toEqual([])
  })
})
