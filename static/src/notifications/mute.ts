/** What somebody wants to hear of a conversation. Pure. */

import type { Notify } from '../api/types'

export type MuteChoice = 'all' | 'mentions' | 'hour' | 'workday' | 'none'

const HOUR = 3_600_000

/** What holds now: from `until` on it is everything again. */
export function levelNow(notify: Notify | undefined, now: number): NonNullable<Notify['level']> {
  if (!notify) return 'all'
  const over = notify.until != null && now >= notify.until
  return over ? 'all' : (notify.level ?? 'all')
}

export function chosen(choice: MuteChoice, now: number): Notify {
  switch (choice) {
    case 'hour':
      return { level: 'none', until: now + HOUR }
    case 'workday':
      return { level: 'none', until: now + 8 * HOUR }
    default:
      return { level: choice, until: null }
  }
}
