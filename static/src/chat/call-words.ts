/** What is said of a call outside of its own page: how long it was, and what became of it. Pure. */

import type { Translate } from '../i18n'

/** "42 s", "12 min", "1 h 5 min". */
export function lengthOf(seconds: number, t: Translate): string {
  const all = Math.max(0, Math.floor(seconds))
  if (all < 60) return t('callNews.length.seconds', { n: all })
  const minutes = Math.round(all / 60)
  if (minutes < 60) return t('callNews.length.minutes', { n: minutes })
  return t('callNews.length.hours', { h: Math.floor(minutes / 60), m: minutes % 60 })
}

/** The entry of a call in its conversation's log; what a body of another version lacks is null, empty or zero. */
export interface CallFacts {
  readonly call: string | null
  readonly by: string
  readonly video: boolean
  readonly state: string
  readonly seconds: number
  readonly missed: readonly string[]
}

export function callFactsOf(item: { readonly by: string; readonly body: Readonly<Record<string, unknown>> }): CallFacts {
  const { call, by, video, state, seconds, missed } = item.body
  return {
    call: typeof call === 'string' ? call : null,
    by: typeof by === 'string' ? by : item.by,
    video: video === true,
    state: typeof state === 'string' ? state : '',
    seconds: typeof seconds === 'number' ? seconds : 0,
    missed: Array.isArray(missed) ? missed.filter((each): each is string => typeof each === 'string') : [],
  }
}

/** One's own phone rang, and nobody came. */
export function isMissed(facts: CallFacts, me: string): boolean {
  return facts.by !== me && (facts.missed.includes(me) || facts.state === 'missed')
}

export function callSentence(facts: CallFacts, me: string, nameOf: (id: string) => string, t: Translate): string {
  const own = facts.by === me
  const by = own ? '' : nameOf(facts.by)
  switch (facts.state) {
    case 'started':
      return own ? t('callNews.entry.startedYou') : t('callNews.entry.started', { by })
    case 'missed':
      if (own) return t('callNews.entry.missedYou')
      return t(facts.missed.length === 0 || facts.missed.includes(me) ? 'callNews.entry.missed' : 'callNews.entry.missedOthers', { by })
    case 'declined':
      return own ? t('callNews.entry.declinedYou') : t('callNews.entry.declined', { by })
    case 'cancelled':
      return own ? t('callNews.entry.cancelledYou') : t('callNews.entry.cancelled', { by })
    case 'failed':
      return t('callNews.entry.failed')
    default: {
      const length = lengthOf(facts.seconds, t)
      if (isMissed(facts, me)) return `${t('callNews.entry.missed', { by })} · ${t(facts.video ? 'callNews.entry.doneVideo' : 'callNews.entry.done', { length })}`
      return t(facts.video ? 'callNews.entry.doneVideo' : 'callNews.entry.done', { length })
    }
  }
}
