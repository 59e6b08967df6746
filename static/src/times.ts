/** Moments in words, in the reader's language and time zone. Pure: the present moment is an argument. */

export interface Clock {
  readonly language: string
  /** IANA name. */
  readonly zone: string
}

const formats = new Map<string, Intl.DateTimeFormat>()

function format(clock: Clock, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${clock.language}|${clock.zone}|${JSON.stringify(options)}`
  let found = formats.get(key)
  if (!found) {
    const locale = clock.language === 'en' ? 'en-GB' : clock.language
    try {
      found = new Intl.DateTimeFormat(locale, { timeZone: clock.zone, ...options })
    } catch {
      found = new Intl.DateTimeFormat(locale, options) // a zone that this browser does not know
    }
    formats.set(key, found)
  }
  return found
}

const NUMERIC = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' } as const

/** Days begin at a multiple of this, in every zone: a quarter of an hour lies within one day. */
const QUARTER = 15 * 60_000
/** zone → quarter → day. Asking the browser takes a hundred times as long, and a long history asks for each message. */
const days = new Map<string, Map<number, string>>()
const DAYS_MOST = 20_000

/** The calendar day as YYYY-MM-DD: equal for moments of one day in the reader's zone. */
export function dayOf(at: number, clock: Clock): string {
  let known = days.get(clock.zone)
  if (!known || known.size >= DAYS_MOST) days.set(clock.zone, (known = new Map()))
  const quarter = Math.floor(at / QUARTER)
  let day = known.get(quarter)
  if (day === undefined) {
    const parts = format({ language: 'en', zone: clock.zone }, { year: 'numeric', month: '2-digit', day: '2-digit' }).formatToParts(at)
    const part = (type: string): string => parts.find((each) => each.type === type)?.value ?? ''
    day = `${part('year')}-${part('month')}-${part('day')}`
    known.set(quarter, day)
  }
  return day
}

/** The moment at which a day (YYYY-MM-DD) begins in the reader's zone. */
export function startOfDay(day: string, clock: Clock): number {
  const wanted = Date.parse(day)
  const shown = (at: number): number => {
    const parts = format({ language: 'en', zone: clock.zone }, { ...NUMERIC, hourCycle: 'h23' }).formatToParts(at)
    const part = (type: string): number => Number(parts.find((each) => each.type === type)?.value ?? 0)
    return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'))
  }
  // The second time the offset is that of the night itself, also where the clocks are changed on that day.
  let at = wanted
  for (let turn = 0; turn < 2; turn += 1) at -= shown(at) - wanted
  return at
}

/** The day after (YYYY-MM-DD), or so many days after. */
export function dayAfter(day: string, days = 1): string {
  return new Date(Date.parse(day) + days * 86_400_000).toISOString().slice(0, 10)
}

/** How many calendar days `at` lies before `now`. */
export function daysAgo(at: number, now: number, clock: Clock): number {
  return Math.round((Date.parse(dayOf(now, clock)) - Date.parse(dayOf(at, clock))) / 86_400_000)
}

/** 21:05 */
export function timeOf(at: number, clock: Clock): string {
  return format(clock, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at)
}

/** 22 Nov 2026 / 2026年11月22日 */
export function dateOf(at: number, clock: Clock): string {
  return format(clock, { year: 'numeric', month: clock.language === 'en' ? 'short' : 'long', day: 'numeric' }).format(at)
}

/** Sunday 22 November 2026, 21:05 / 2026年11月22日 周日 21:05 */
export function fullOf(at: number, clock: Clock): string {
  return `${dayTitle(at, Number.NaN, clock, null)} ${timeOf(at, clock)}`
}

/** The words for today and yesterday. */
export interface DayWords {
  readonly today: string
  readonly yesterday: string
}

/** The line between two days of a conversation; `now` NaN or `words` null: always the full date. */
export function dayTitle(at: number, now: number, clock: Clock, words: DayWords | null): string {
  const ago = Number.isNaN(now) ? Number.POSITIVE_INFINITY : daysAgo(at, now, clock)
  if (words && ago === 0) return words.today
  if (words && ago === 1) return words.yesterday
  const sameYear = !Number.isNaN(now) && dayOf(at, clock).slice(0, 4) === dayOf(now, clock).slice(0, 4)
  const chinese = clock.language !== 'en'
  const date = format(clock, {
    ...(sameYear ? {} : { year: 'numeric' as const }),
    month: 'long',
    day: 'numeric',
  }).format(at)
  const weekday = format(clock, { weekday: chinese ? 'short' : 'long' }).format(at)
  return chinese ? `${date} ${weekday}` : `${weekday} ${date}`
}

/** As short as a list needs: 21:05, Yesterday, Wed, 3 Nov, 03/11/2025. */
export function listTime(at: number, now: number, clock: Clock, words: DayWords): string {
  const ago = daysAgo(at, now, clock)
  if (ago <= 0) return timeOf(at, clock)
  if (ago === 1) return words.yesterday
  if (ago < 7) return format(clock, { weekday: 'short' }).format(at)
  if (dayOf(at, clock).slice(0, 4) === dayOf(now, clock).slice(0, 4)) {
    return format(clock, { month: clock.language === 'en' ? 'short' : 'long', day: 'numeric' }).format(at)
  }
  return format(clock, { year: 'numeric', month: '2-digit', day: '2-digit' }).format(at)
}

/** The zones to choose from; the browser's own list with the given one among them. */
export function timeZones(own: string): string[] {
  return Array.from(new Set([own, ...Intl.supportedValuesOf('timeZone')])).sort()
}

export function browserZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'
}
