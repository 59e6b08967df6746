/** Questions for a picture in a call: which one waits for me, and what I am told of mine. */

import { describe, expect, it } from 'vitest'

import type { SnapshotAsk } from '../src/calls/types'
import { pictureNews, toAnswer, waitingFor } from '../src/components/calls/pictures'

const ask = (id: string, by: string, person: string, more: Partial<SnapshotAsk> = {}): SnapshotAsk => ({ id, by, person, state: 'asked', since: 0, until: 60_000, proof: null, ...more })

describe('questions for a picture', () => {
  it('wait for the person shown, the oldest first, and for nobody else', () => {
    const call = { asks: [ask('q1', 'ben', 'ada', { state: 'refused' }), ask('q2', 'cay', 'ada'), ask('q3', 'ben', 'ada')] }
    expect(toAnswer(call, 'ada')?.id).toBe('q2')
    expect(toAnswer(call, 'cay')).toBeNull()
    expect(waitingFor(call, 'ben').map(({ id }) => id)).toEqual(['q3'])
    expect(waitingFor(call, 'ada')).toEqual([])
  })

  it.each(['refused', 'taken'] as const)('that were %s are told to who has asked, once', (state) => {
    const [before, after] = [{ asks: [ask('q1', 'ben', 'ada')] }, { asks: [ask('q1', 'ben', 'ada', { state })] }]
    expect(pictureNews(before, after, 'ben', 5_000)).toEqual([{ person: 'ada', said: state }])
    expect(pictureNews(after, after, 'ben', 5_000)).toEqual([])
    expect(pictureNews(before, after, 'ada', 5_000)).toEqual([])
  })

  it('that nobody has answered are told of when their time is over; those taken back are not', () => {
    const [before, after] = [{ asks: [ask('q1', 'ben', 'ada')] }, { asks: [] }]
    expect(pictureNews(before, after, 'ben', 60_000)).toEqual([{ person: 'ada', said: 'lapsed' }])
    expect(pictureNews(before, after, 'ben', 20_000)).toEqual([])
  })

  it('that still wait are no news', () => {
    const call = { asks: [ask('q1', 'ben', 'ada')] }
    expect(pictureNews(call, call, 'ben', 60_000)).toEqual([])
  })
})
