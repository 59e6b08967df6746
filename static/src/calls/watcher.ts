/** The connection that brings what others show: lines made beforehand, in which the server lets flow what is asked for. */

import { shallowReactive } from 'vue'

import type { Looked, Slot } from './types'

/** Lines for voices and for pictures: at most 40 together. */
const VOICES = 14
const PICTURES = 14

interface Line {
  readonly index: number
  readonly kind: 'audio' | 'video'
  readonly stream: MediaStream
  readonly receiver: RTCRtpReceiver
}

export const keyOf = (person: string, track: 'voice' | 'camera' | 'screen'): string => `${person}:${track}`

/** Which line carries what: whoever has one keeps it, the others take free ones, as many as there are. Pure. */
export function assigned(before: ReadonlyMap<string, number>, wanted: readonly string[], lines: readonly number[]): Map<string, number> {
  const next = new Map<string, number>()
  for (const key of wanted) {
    const line = before.get(key)
    if (line !== undefined && lines.includes(line)) next.set(key, line)
  }
  const taken = new Set(next.values())
  const free = lines.filter((line) => !taken.has(line))
  for (const key of wanted) {
    if (next.has(key)) continue
    const line = free.shift()
    if (line !== undefined) next.set(key, line)
  }
  return next
}

export class Watcher {
  readonly connection: RTCPeerConnection
  /** `person:track` → what is played or shown. */
  readonly streams = shallowReactive(new Map<string, MediaStream>())
  readonly #lines: readonly Line[]
  #places: ReadonlyMap<string, number> = new Map()

  constructor(servers: RTCIceServer[]) {
    this.connection = new RTCPeerConnection({ iceServers: servers, bundlePolicy: 'max-bundle' })
    this.#lines = Array.from({ length: VOICES + PICTURES }, (_, index) => {
      const kind = index < VOICES ? ('audio' as const) : ('video' as const)
      const { receiver } = this.connection.addTransceiver(kind, { direction: 'recvonly' })
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

  /** What is to flow from now on, for the server. */
  want(voices: readonly string[], looked: readonly Looked[]): Slot[] {
    const of = (kind: Line['kind']): number[] => this.#lines.filter((line) => line.kind === kind).map((line) => line.index)
    const heard = assigned(this.#places, voices.map((person) => keyOf(person, 'voice')), of('audio'))
    const seen = assigned(this.#places, looked.map(({ person, track }) => keyOf(person, track)), of('video'))
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
    for (const [key, index] of this.#places) {
      if (!key.endsWith(':voice')) continue
      const [source] = this.#lines[index]?.receiver.getSynchronizationSources() ?? []
      if ((source?.audioLevel ?? 0) > 0.02 && source && performance.timeOrigin + performance.now() - source.timestamp < 1_000) found.add(key.slice(0, -':voice'.length))
    }
    return found
  }

  close(): void {
    this.streams.clear()
    this.connection.close()
  }
}
