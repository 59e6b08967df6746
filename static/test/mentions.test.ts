import { describe, expect, it } from 'vitest'

import { askedAt, callsIn, completed, suited, type Callable } from '../src/chat/mentions'

const LIN: Callable = { id: 'p_lin', handle: 'lin', name: '小林' }
const LINDA: Callable = { id: 'p_linda', handle: 'linda_2', name: 'Linda' }
const TOM: Callable = { id: 'p_tom', handle: 'tom', name: 'Tom Lindner' }
const people = [TOM, LINDA, LIN]

describe('typing @', () => {
  it.each<[string, string | null]>([
    ['@', ''],
    ['@li', 'li'],
    ['hello @小', '小'],
    ['你好@林', '林'],
    ['(@tom', 'tom'],
    ['mail a@b', null],
    ['@lin ', null],
    ['@lin，', null],
    ['', null],
  ])('%j asks for %j', (text, query) => {
    expect(askedAt(text, text.length)?.query ?? null).toBe(query)
  })

  it('finds whoever begins so before whoever contains it', () => {
    expect(suited(people, 'lin', 5)).toEqual([LINDA, LIN, TOM])
    expect(suited(people, '小', 5)).toEqual([LIN])
    expect(suited(people, 'LIND', 1)).toEqual([LINDA])
    expect(suited(people, 'x', 5)).toEqual([])
  })

  it('puts the handle in its place', () => {
    const text = 'ask @li today'
    const asked = askedAt(text, 7)
    expect(asked).toEqual({ from: 4, query: 'li' })
    expect(asked && completed(text, asked, 7, 'lin')).toEqual({ text: 'ask @lin today', caret: 9 })
  })
})

describe('words', () => {
  it.each<[string, string[], boolean]>([
    ['@lin and @tom', ['p_tom', 'p_lin'], false],
    ['**@lin** > no\n\n> @tom', ['p_tom', 'p_lin'], false],
    ['`@lin` a@tom.example @nobody', [], false],
    ['@all look', [], true],
    ['@Lin.', ['p_lin'], false],
    ['no call', [], false],
  ])('%j call %j', (text, mentions, everybody) => {
    expect(callsIn(text, people, true)).toEqual({ mentions, everybody })
  })

  it('call everybody only where that is allowed', () => {
    expect(callsIn('@all', people, false)).toEqual({ mentions: [], everybody: false })
  })
})
