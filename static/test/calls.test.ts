/** What carries calls, as far as it needs no browser: codecs, lines, words of faults, levels, rings of several windows, quality. */

import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { preferred } from '../src/calls/codecs'
import { DeviceError, deviceFault } from '../src/calls/faults'
import { levelOf } from '../src/calls/meter'
import { scaleFor } from '../src/calls/publisher'
import { Lines, lossOf, qualityFrom } from '../src/calls/quality'
import { windowsOf, withoutRing, withRing, type WindowNews } from '../src/calls/rings'
import type { Ring } from '../src/calls/types'
import { assigned, heardFirst, linesFor } from '../src/calls/watcher'
import { cameraWish, voiceWish } from '../src/calls/wishes'

describe('codecs', () => {
  const codec = (mimeType: string, sdpFmtpLine?: string): { mimeType: string; sdpFmtpLine?: string } => (sdpFmtpLine === undefined ? { mimeType } : { mimeType, sdpFmtpLine })

  it('offers VP8 first, then the H264 that all can show, and what is sent again', () => {
    const base = codec('video/H264', 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f')
    const all = [codec('video/rtx'), codec('video/AV1'), codec('video/H264', 'packetization-mode=0;profile-level-id=42e01f'), base, codec('video/H264', 'packetization-mode=1;profile-level-id=64001f'), codec('video/VP9'), codec('video/VP8'), codec('video/ulpfec')]
    expect(preferred(all)).toEqual([codec('video/VP8'), base, codec('video/rtx')])
  })
  it('offers Opus alone for voices', () => {
    expect(preferred([codec('audio/red'), codec('audio/PCMU'), codec('audio/opus')])).toEqual([codec('audio/opus')])
  })
  it('leaves a browser that knows none of them its own choice', () => {
    expect(preferred([codec('video/AV1'), codec('video/rtx')])).toEqual([])
    expect(preferred([])).toEqual([])
  })
})

describe('lines of a watching connection', () => {
  it('keeps everybody where they are while others come and go', () => {
    const first = assigned(new Map(), ['a', 'b', 'c'], [4, 5, 6])
    expect([...first]).toEqual([['a', 4], ['b', 5], ['c', 6]])
    const second = assigned(first, ['c', 'd', 'a'], [4, 5, 6])
    expect(second.get('a')).toBe(4)
    expect(second.get('c')).toBe(6)
    expect(second.get('d')).toBe(5)
    expect(assigned(second, ['a', 'b', 'c', 'd', 'e'], [4, 5, 6]).size).toBe(3)
  })
  it('shows whoever is heard in the line beside their voice, and a screen in one that nobody else needs', () => {
    const beside = new Map([['a', 10], ['b', 11], ['c', 12]])
    expect([...assigned(new Map(), ['c', 'a:screen', 'a'], [10, 11, 12, 13], beside)].toSorted()).toEqual([['a', 10], ['a:screen', 13], ['c', 12]])
    // Whoever is shown keeps their line, also where another one would fit better.
    expect(assigned(new Map([['x', 10]]), ['a', 'x'], [10, 11, 12, 13], beside)).toEqual(new Map([['x', 10], ['a', 13]]))
  })
  it('never gives one line to two, and moves nobody who is still wanted', () => {
    const names = fc.uniqueArray(fc.constantFrom(...'abcdefghijkl'), { maxLength: 12 })
    fc.assert(
      fc.property(fc.array(names, { maxLength: 5 }), fc.integer({ min: 0, max: 8 }), (turns, count) => {
        const lines = Array.from({ length: count }, (_, at) => 20 + at)
        let places: ReadonlyMap<string, number> = new Map()
        for (const wanted of turns) {
          const next = assigned(places, wanted, lines)
          expect(new Set(next.values()).size).toBe(next.size)
          expect(next.size).toBe(Math.min(wanted.length, count))
          for (const [key, line] of next) {
            expect(wanted).toContain(key)
            expect(lines).toContain(line)
          }
          for (const key of wanted) if (places.has(key)) expect(next.get(key)).toBe(places.get(key))
          places = next
        }
      }),
    )
  })
  it('has a line for everybody and some to spare, never more than forty', () => {
    expect(linesFor(1)).toEqual({ voices: 3, pictures: 4 })
    for (let others = 0; others < 60; others += 1) {
      const { voices, pictures } = linesFor(others)
      expect(voices + pictures).toBeLessThanOrEqual(40)
      expect(voices).toBeGreaterThanOrEqual(Math.min(others + 1, 20))
    }
  })
  it('lets the muted make room where there are more people than lines', () => {
    const people = [{ person: 'a', voice: false }, { person: 'b', voice: true }, { person: 'c', voice: false }, { person: 'd', voice: true }]
    expect(heardFirst(people, 4)).toEqual(['a', 'b', 'c', 'd'])
    expect(heardFirst(people, 3)).toEqual(['b', 'd', 'a'])
    expect(heardFirst(people, 1)).toEqual(['b'])
  })
})

describe('devices', () => {
  it('has a stable word for whatever a browser throws', () => {
    const named = (name: string): DOMException => new DOMException('?', name)
    expect(['NotAllowedError', 'SecurityError'].map((name) => deviceFault(named(name)))).toEqual(['refused', 'refused'])
    expect(['NotFoundError', 'OverconstrainedError'].map((name) => deviceFault(named(name)))).toEqual(['absent', 'absent'])
    expect(['NotReadableError', 'AbortError'].map((name) => deviceFault(named(name)))).toEqual(['busy', 'busy'])
    expect([new TypeError('no devices'), null, undefined, 'x', {}].map(deviceFault)).toEqual(Array(5).fill('unsupported'))
    expect(deviceFault(new DeviceError('camera', 'unplugged'))).toBe('unplugged')
  })
  it('prefers the chosen device but takes another one when it is gone', () => {
    expect(cameraWish('cam')).toMatchObject({ deviceId: { ideal: 'cam' } })
    expect(cameraWish('')).not.toHaveProperty('deviceId')
    expect(voiceWish('')).toMatchObject({ echoCancellation: true, noiseSuppression: true })
  })
  it('makes the small picture 320 wide, upright ones too, and never larger than it is', () => {
    expect(scaleFor({ width: 1280, height: 720 })).toBe(4)
    expect(scaleFor({ width: 720, height: 1280 })).toBe(4)
    expect(scaleFor({ width: 640, height: 480 })).toBe(2)
    expect(scaleFor({ width: 160, height: 120 })).toBe(1)
    expect(scaleFor({})).toBe(4)
  })
  it('measures silence as nothing and a full voice as all', () => {
    expect(levelOf(new Float32Array(64))).toBe(0)
    expect(levelOf(new Float32Array(64).fill(0.9))).toBe(1)
    const quiet = levelOf(new Float32Array(64).fill(0.01))
    expect(quiet).toBeGreaterThan(0.2)
    expect(quiet).toBeLessThan(levelOf(new Float32Array(64).fill(0.05)))
    expect(levelOf(new Float32Array(0))).toBe(0)
  })
})

describe('rings', () => {
  const ring = (call: string, until = 1_000): Ring => ({ call, conversation: 'c_1', by: 'p_1', video: true, until })

  it('rings once, not for what has rung out, and not for the call that one is in', () => {
    const one = withRing([], ring('a'), 0, null)
    expect(one).toHaveLength(1)
    expect(withRing(one, ring('a', 2_000), 0, null)).toBe(one)
    expect(withRing(one, ring('b', 500), 500, null)).toBe(one)
    expect(withRing(one, ring('b'), 0, 'b')).toBe(one)
    expect(withRing(one, ring(''), 0, null)).toBe(one)
    expect(withRing(one, ring('b'), 0, null).map((each) => each.call)).toEqual(['a', 'b'])
    expect(withoutRing(one, 'b')).toBe(one)
    expect(withoutRing(one, 'a')).toEqual([])
  })
  it('is told in every window of the same person, and in none of another', () => {
    const ends: { onmessage: ((event: MessageEvent) => void) | null }[] = []
    function end() {
      const own = {
        onmessage: null as ((event: MessageEvent) => void) | null,
        postMessage: (data: unknown) => ends.forEach((each) => each !== own && each.onmessage?.({ data } as MessageEvent)),
        close: () => void ends.splice(ends.indexOf(own), 1),
      }
      ends.push(own)
      return own as unknown as BroadcastChannel
    }
    const heard: Record<string, WindowNews[]> = { a: [], b: [], other: [] }
    const a = windowsOf('p_1', (news) => heard['a']?.push(news), end())
    const b = windowsOf('p_1', (news) => heard['b']?.push(news), end())
    windowsOf('p_2', (news) => heard['other']?.push(news), end())
    a.tell('quiet', 'cl_1')
    expect(heard).toEqual({ a: [], b: [{ t: 'quiet', person: 'p_1', call: 'cl_1' }], other: [] })
    b.tell('entered', 'cl_1')
    expect(heard['a']).toEqual([{ t: 'entered', person: 'p_1', call: 'cl_1' }])
    b.close()
    a.tell('quiet', 'cl_2')
    expect(heard['b']).toHaveLength(1)
    for (const stray of [null, 'quiet', { t: 'quiet' }, { t: 'sing', person: 'p_1', call: 'x' }]) end().postMessage(stray)
    expect(heard['a']).toHaveLength(1)
  })
})

describe('quality', () => {
  it('is called by its loss, and does not flicker at the border', () => {
    expect([0, 2.9, 3, 9.9, 10, 100].map((loss) => qualityFrom(loss))).toEqual(['good', 'good', 'fair', 'fair', 'poor', 'poor'])
    expect([undefined, Number.NaN].map((loss) => qualityFrom(loss))).toEqual(['unknown', 'unknown'])
    expect(qualityFrom(8, 'poor')).toBe('poor')
    expect(qualityFrom(6, 'poor')).toBe('fair')
    expect(qualityFrom(2.5, 'fair')).toBe('fair')
    expect(qualityFrom(1.9, 'fair')).toBe('good')
  })
  it('takes the worse of both ways, while it is fresh', () => {
    const lines = new Lines()
    expect(lines.loss('p', 0)).toBeUndefined()
    lines.tell('p', 'down', 2, 0)
    lines.tell('p', 'up', 7, 5_000)
    expect(lines.loss('p', 5_000)).toBe(7)
    lines.tell('p', 'up', 0, 6_000)
    expect(lines.loss('p', 9_000)).toBe(2)
    expect(lines.loss('p', 11_000)).toBe(0)
    expect(lines.loss('p', 17_000)).toBeUndefined()
    lines.tell('p', 'up', Number.NaN, 17_000)
    expect(lines.loss('p', 17_000)).toBeUndefined()
    lines.tell('q', 'up', 400, 17_000)
    expect(lines.loss('q', 17_000)).toBe(100)
    expect(lines.people()).toEqual(['p', 'q'])
  })
  it('reads what the server has reported of the worst line', () => {
    expect(lossOf([{ type: 'outbound-rtp', fractionLost: 1 }, { type: 'remote-inbound-rtp', fractionLost: 0.02 }, { type: 'remote-inbound-rtp', fractionLost: 0.1 }, { type: 'remote-inbound-rtp' }])).toBeCloseTo(10)
    expect(lossOf([{ type: 'candidate-pair' }])).toBeNull()
  })
})
