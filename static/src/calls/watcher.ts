/** The connection that brings what others show: lines made beforehand, in which the server lets flow what is asked for. */

import { shallowReactive } from 'vue'

import { prefer } from './codecs'
import type { Looked, Slot } from './types'

/** Lines for voices and for pictures, fewest and most: at most 40 together. Each costs the browser time and memory, used or not. */
const VOICES = { least: 3, most: 20 } as const
const PICTURES = { least: 4, most: 14 } as const
/** Louder than this somebody speaks (0 … 1, linear), unless it was longer ago than this (milliseconds). */
const SPEAKS = 0.02
const RECENT = 1_000

interface Line {
  readonly index: number
  readonly kind: 'audio' | 'video'
  readonly stream: MediaStream
  readonly receiver: RTCRtpReceiver
}

export const keyOf = (person: string, track: 'voice' | 'camera' | 'screen'): string => `${person}:${track}`

/**
 * Which line carries what: whoever has one keeps it, the others take free ones, as many as there are. `fitting`: lines that are best for
 * some; nobody else takes them while there are others. Pure.
 */
export function assigned(before: ReadonlyMap<string, number>, wanted: readonly string[], lines: readonly number[], fitting: ReadonlyMap<string, number> = new Map()): Map<string, number> {
  const next = new Map<string, number>()
  for (const key of wanted) {
    const line = before.get(key)
    if (line !== undefined && lines.includes(line)) next.set(key, line)
  }
  const taken = new Set(next.values())
  for (const key of wanted) {
    const line = fitting.get(key)
    if (next.has(key) || line === undefined || taken.has(line) || !lines.includes(line)) continue
    next.set(key, line)
    taken.add(line)
  }
  const kept = new Set(fitting.values())
  const free = lines.filter((line) => !taken.has(line)).toSorted((a, b) => Number(kept.has(a)) - Number(kept.has(b)))
  for (const key of wanted) {
    if (next.has(key)) continue
    const line = free.shift()
    if (line !== undefined) next.set(key, line)
  }
  return next
}

/** How many lines a call with so many other people needs: each a voice, a camera, and some of them a screen, with room for some more. Pure. */
export function linesFor(others: number): { readonly voices: number; readonly pictures: number } {
  const within = (wanted: number, { least, most }: { readonly least: number; readonly most: number }): number => Math.min(most, Math.max(least, wanted))
  return { voices: within(others + 2, VOICES), pictures: within(others + 3, PICTURES) }
}

/** Where there are more people than lines, those who are muted make room. Each keeps their place in the order. Pure. */
export function heardFirst(people: readonly { readonly person: string; readonly voice: boolean }[], most: number): string[] {
  const some = people.length <= most ? people : [...people.filter((each) => each.voice), ...people.filter((each) => !each.voice)].slice(0, most)
  return some.map((each) => each.person)
}

export class Watcher {
  readonly connection: RTCPeerConnection
  /** `person:track` → what is played or shown. */
  readonly streams = shallowReactive(new Map<string, MediaStream>())
  readonly #lines: readonly Line[]
  readonly #voices: number
  #places: ReadonlyMap<string, number> = new Map()

  /** `others`: so many people may be heard and seen. */
  constructor(servers: RTCIceServer[], others: number) {
    const { voices, pictures } = linesFor(others)
    this.#voices = voices
    this.connection = new RTCPeerConnection({ iceServers: servers, bundlePolicy: 'max-bundle' })
    this.#lines = Array.from({ length: voices + pictures }, (_, index) => {
      const kind = index < voices ? ('audio' as const) : ('video' as const)
      const transceiver = this.connection.addTransceiver(kind, { direction: 'recvonly' })
      prefer(transceiver, kind)
      const { receiver } = transceiver
      return { index, kind, receiver, stream: new MediaStream([receiver.track]) }
    })
  }

  async offer(): Promise<string> {
    const offer = await this.connection.createOffer()
    await this.connection.setLocalDescription(offer)
    return offer.sdp ?? ''
  }

  async answer(sdp: string): Promise<void> {
    await this.connection.setRemoteDescription({ type: 'answer', sdp })
  }

  /** More people have come than there are lines, and there could be more lines. */
  narrowFor(others: number): boolean {
    return others > this.#voices && this.#voices < VOICES.most
  }

  /** What is to flow from now on, for the server. */
  want(people: readonly { readonly person: string; readonly voice: boolean }[], looked: readonly Looked[]): Slot[] {
    const voices = heardFirst(people, this.#voices)
    const of = (kind: Line['kind']): number[] => this.#lines.filter((line) => line.kind === kind).map((line) => line.index)
    const heard = assigned(this.#places, voices.map((person) => keyOf(person, 'voice')), of('audio'))
    // The first voice and the first picture are one stream for the server, and so on: browsers keep a stream's sound and picture together.
    const beside = new Map(voices.flatMap((person): [string, number][] => {
      const index = heard.get(keyOf(person, 'voice'))
      return index === undefined ? [] : [[keyOf(person, 'camera'), this.#voices + index]]
    }))
    const seen = assigned(this.#places, looked.map(({ person, track }) => keyOf(person, track)), of('video'), beside)
    this.#places = new Map([...heard, ...seen])
    for (const key of [...this.streams.keys()]) if (!this.#places.has(key)) this.streams.delete(key)
    for (const [key, index] of this.#places) {
      const stream = this.#lines[index]?.stream
      if (stream && this.streams.get(key) !== stream) this.streams.set(key, stream)
    }
    return [
      ...voices.flatMap((person): Slot[] => {
        const index = heard.get(keyOf(person, 'voice'))
        return index === undefined ? [] : [{ index, person, track: 'voice', layer: 'auto' }]
      }),
      ...looked.flatMap(({ person, track, small }): Slot[] => {
        const index = seen.get(keyOf(person, track))
        return index === undefined ? [] : [{ index, person, track, layer: small && track === 'camera' ? 'small' : 'auto' }]
      }),
    ]
  }

  /** Who is heard right now. */
  speaking(): Set<string> {
    const found = new Set<string>()
    // Browsers count from the opening of the page, or from 1970.
    const clocks = [performance.now(), Date.now()]
    for (const [key, index] of this.#places) {
      if (!key.endsWith(':voice')) continue
      const [source] = this.#lines[index]?.receiver.getSynchronizationSources() ?? []
      if (source && (source.audioLevel ?? 0) > SPEAKS && clocks.some((now) => Math.abs(now - source.timestamp) < RECENT)) found.add(key.slice(0, -':voice'.length))
    }
    return found
  }

  close(): void {
    this.streams.clear()
    this.connection.close()
  }
}
