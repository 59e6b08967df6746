import { describe, expect, it } from 'vitest'

import { bytesOf, knowsPasskeys, textOf } from '../src/safety/passkeys'

describe('bytes as base64url', () => {
  it('come back as they went, at every length', () => {
    for (let length = 0; length < 70; length += 1) {
      const bytes = Uint8Array.from({ length }, (_, at) => (at * 37 + length * 11) % 256)
      const text = textOf(bytes.buffer)
      expect(text).toMatch(/^[A-Za-z0-9_-]*$/)
      expect([...bytesOf(text)]).toEqual([...bytes])
    }
  })

  it('use the letters of addresses, without padding', () => {
    expect(textOf(Uint8Array.of(0xfb, 0xef, 0xff, 0xfe).buffer)).toBe('--___g')
    expect([...bytesOf('--___g')]).toEqual([0xfb, 0xef, 0xff, 0xfe])
  })
})

it('a browser without the interface knows none', () => {
  expect(knowsPasskeys()).toBe(false)
})
