import { describe, expect, it } from 'vitest'

import { base64Of, faultOf, fitted, LONGEST } from '../src/proofs/camera'
import { addressOf, coordinates, distance, radiusOf, RINGS } from '../src/proofs/places'

describe('what the camera gives', () => {
  it('is no larger than the server needs, and keeps its shape', () => {
    expect(fitted(640, 480)).toEqual([640, 480])
    expect(fitted(4000, 3000)).toEqual([LONGEST, 1440])
    expect(fitted(1080, 3840)).toEqual([540, LONGEST])
    expect(fitted(0, 0)).toEqual([0, 0])
  })

  it('travels as base64, however long it is', async () => {
    const bytes = Uint8Array.from({ length: 100_001 }, (_, at) => (at * 7) % 256)
    const text = await base64Of(new Blob([bytes]))
    expect(Uint8Array.from(atob(text), (one) => one.charCodeAt(0))).toEqual(bytes)
  })

  it('tells why there is none', () => {
    expect(faultOf(new DOMException('', 'NotAllowedError'))).toBe('denied')
    expect(faultOf(new DOMException('', 'NotFoundError'))).toBe('missing')
    expect(faultOf(new DOMException('', 'NotReadableError'))).toBe('failed')
    expect(faultOf(new Error('x'))).toBe('failed')
  })
})

describe('a place', () => {
  it('has a circle that grows with what is not known', () => {
    const radii = [0, 5, 10, 50, 100, 900, 1_000, 9_999, 10_000, 500_000].map(radiusOf)
    expect(radii).toEqual([...radii].sort((a, b) => a - b))
    expect(radii[0]).toBeGreaterThan(0)
    expect(radii.at(-1)).toBeLessThanOrEqual(1)
    expect(new Set(RINGS.map(radiusOf)).size).toBe(RINGS.length)
  })

  it('is written in words of both languages', () => {
    expect(distance(18, 'en')).toBe('18 m')
    expect(distance(1_240, 'en')).toBe('1.2 km')
    expect(distance(18, 'zh-CN')).toMatch(/^18\s*(m|米)$/)
    expect(coordinates({ latitude: -33.86, longitude: 151.2, accuracy: 5 })).toBe('33.8600° S, 151.2000° E')
    expect(addressOf({ latitude: 51.5, longitude: -0.12, accuracy: 17.2 })).toBe('geo:51.5,-0.12;u=18')
  })
})
