/** Who rings, in all windows of one person alike: what was answered, declined or silenced in one is so in the others. Pure but for the channel. */

import type { Ring } from './types'

/** With a newcomer; what rings already, has rung out, or is the call that one is in changes nothing. */
export function withRing(rings: readonly Ring[], fresh: Ring, now: number, inside: string | null): readonly Ring[] {
  if (fresh.call === '' || fresh.until <= now || fresh.call === inside || rings.some((ring) => ring.call === fresh.call)) return rings
  return [...rings, fresh]
}

export function withoutRing(rings: readonly Ring[], call: string): readonly Ring[] {
  return rings.some((ring) => ring.call === call) ? rings.filter((ring) => ring.call !== call) : rings
}

/**
 * `quiet`: it rings no longer, in no window. `hushed`: it still rings, without a sound. `entered`: this window is in the call now, so another
 * one lets go of it.
 */
export type WindowNews = { readonly t: 'quiet' | 'hushed' | 'entered'; readonly person: string; readonly call: string }

function isNews(value: unknown): value is WindowNews {
  if (value === null || typeof value !== 'object') return false
  const [t, person, call] = ['t', 'person', 'call'].map((name): unknown => Reflect.get(value, name))
  return (t === 'quiet' || t === 'hushed' || t === 'entered') && typeof person === 'string' && typeof call === 'string'
}

export interface Windows {
  tell(news: WindowNews['t'], call: string): void
  close(): void
}

type Channel = Pick<BroadcastChannel, 'postMessage' | 'close' | 'onmessage'>

function opened(): Channel | null {
  return typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('vouch-calls')
}

/** Speaks with the other windows of this person in this browser; a window does not hear itself. */
export function windowsOf(person: string, hear: (news: WindowNews) => void, channel: Channel | null = opened()): Windows {
  if (channel)
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (isNews(data) && data.person === person) hear(data)
    }
  return {
    tell: (t, call) => channel?.postMessage({ t, person, call } satisfies WindowNews),
    close: () => channel?.close(),
  }
}
