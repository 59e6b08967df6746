/** How long until something, as people say it. Pure: the present moment is an argument. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** What is said of it, with its numbers: "2 d 3 h", "2 h 14 min", "14 min"; `moment`: less than a minute. */
export type Span =
  | { readonly unit: 'days'; readonly days: number; readonly hours: number }
  | { readonly unit: 'hours'; readonly hours: number; readonly minutes: number }
  | { readonly unit: 'minutes'; readonly minutes: number }
  | { readonly unit: 'moment' }

/** A span of milliseconds; never said to be longer than it is. */
export function spanOf(length: number): Span {
  const whole = Math.max(0, length)
  const days = Math.floor(whole / DAY)
  if (days > 0) return { unit: 'days', days, hours: Math.floor((whole % DAY) / HOUR) }
  const hours = Math.floor(whole / HOUR)
  const minutes = Math.floor((whole % HOUR) / MINUTE)
  if (hours > 0) return { unit: 'hours', hours, minutes }
  return minutes > 0 ? { unit: 'minutes', minutes } : { unit: 'moment' }
}

/** `near`: within three hours; `today`: within a day; `over`: it has passed. */
export type Nearness = 'over' | 'near' | 'today' | 'far'

export function nearnessOf(at: number, now: number): Nearness {
  if (at <= now) return 'over'
  if (at - now <= 3 * HOUR) return 'near'
  return at - now <= DAY ? 'today' : 'far'
}

/** Minutes as the largest unit that divides them: 90 → 90 minutes, 120 → 2 hours, 2880 → 2 days. */
export function roundSpan(minutes: number): { readonly unit: 'days' | 'hours' | 'minutes'; readonly n: number } {
  if (minutes >= 1440 && minutes % 1440 === 0) return { unit: 'days', n: minutes / 1440 }
  if (minutes >= 60 && minutes % 60 === 0) return { unit: 'hours', n: minutes / 60 }
  return { unit: 'minutes', n: minutes }
}
