import { describe, expect, it } from 'vitest'

import { callFactsOf, callSentence, isMissed, lengthOf } from '../src/chat/call-words'
import { translate } from '../src/i18n'

const call = (state: string, more: Record<string, unknown> = {}) => callFactsOf({ by: 'u_server', body: { call: 'cl_1', by: 'u_a', video: false, state, seconds: 0, missed: [], ...more } })
const said = (state: string, me: string, more: Record<string, unknown> = {}): string => callSentence(call(state, more), me, (id) => ({ u_a: 'Ada', u_b: 'Ben' })[id] ?? '?', translate)

describe('a call in a thread', () => {
  it.each([
    [0, '0 s'],
    [42, '42 s'],
    [59.9, '59 s'],
    [90, '2 min'],
    [3_599, '1 h 0 min'],
    [3_900, '1 h 5 min'],
    [-5, '0 s'],
  ])('of %d seconds took %s', (seconds, words) => {
    expect(lengthOf(seconds, translate)).toBe(words)
  })

  it('says how long it was, or why it was not', () => {
    expect(said('done', 'u_b', { seconds: 720 })).toBe('Call, 12 min')
    expect(said('ended', 'u_b', { seconds: 720, video: true })).toBe('Video call, 12 min')
    expect(said('started', 'u_a')).toBe('You started a call')
    expect(said('declined', 'u_a')).toBe('You called; the call was declined')
    expect(said('cancelled', 'u_b')).toBe('Ada called and hung up again')
  })

  it('is missed by those whose phone rang for nothing, and by nobody else', () => {
    expect(said('missed', 'u_b', { missed: ['u_b'] })).toBe('You missed a call from Ada')
    expect(said('missed', 'u_c', { missed: ['u_b'] })).toBe('Ada called; nobody answered')
    expect(said('missed', 'u_a', { missed: ['u_b'] })).toBe('You called; nobody answered')
    expect(said('ended', 'u_b', { missed: ['u_b'], seconds: 60 })).toBe('You missed a call from Ada · Call, 1 min')
    expect(isMissed(call('missed', { missed: ['u_b'] }), 'u_a')).toBe(false)
    expect(isMissed(call('ended', { missed: ['u_b'] }), 'u_c')).toBe(false)
  })

  it('of a body that lacks everything is still a call', () => {
    expect(callFactsOf({ by: 'u_a', body: {} })).toEqual({ call: null, by: 'u_a', video: false, state: '', seconds: 0, missed: [] })
  })
})
