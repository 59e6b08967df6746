/** The large place: it follows who speaks, and does not jump while several do. */

import { describe, expect, it } from 'vitest'

import { largeNext, NOBODY, type Large } from '../src/components/calls/speaker'

const all = ['ben', 'cho', 'dan']
/** What is heard at which millisecond, one after the other. */
function after(...heard: readonly (readonly [at: number, ...speaking: string[]])[]): Large {
  return heard.reduce((large, [at, ...speaking]) => largeNext(large, speaking, all, at), NOBODY)
}

describe('the large place', () => {
  it('is empty until somebody speaks, and then theirs, also when it is quiet again', () => {
    expect(after([0], [10])).toEqual(NOBODY)
    expect(after([0], [10, 'cho']).key).toBe('cho')
    expect(after([10, 'cho'], [20], [60_000]).key).toBe('cho')
  })

  it('goes to another who speaks, once the first has been quiet for a moment', () => {
    expect(after([0, 'ben'], [3_000, 'ben'], [3_500, 'cho']).key).toBe('ben')
    expect(after([0, 'ben'], [3_000, 'ben'], [3_500, 'cho'], [4_000, 'cho']).key).toBe('cho')
    expect(after([0, 'ben'], [100], [500, 'cho'], [1_500, 'cho']).key, 'not before two seconds').toBe('ben')
    expect(after([0, 'ben'], [100], [500, 'cho'], [2_000, 'cho']).key).toBe('cho')
  })

  it('stays with whoever goes on, whoever falls in', () => {
    const chatter = Array.from({ length: 40 }, (_, i) => [i * 500, ...(i % 2 ? ['cho', 'dan'] : ['dan', 'ben'])] as const)
    expect(new Set(chatter.map((_, i) => after(...chatter.slice(0, i + 1)).key))).toEqual(new Set(['dan']))
  })

  it('does not wait for whoever has gone', () => {
    const large = after([0, 'ben'])
    expect(largeNext(large, ['dan'], ['cho', 'dan'], 1).key).toBe('dan')
    expect(largeNext(large, [], ['cho', 'dan'], 1)).toEqual(NOBODY)
  })
})
