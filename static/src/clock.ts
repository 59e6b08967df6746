/** The present, as far as pages show it: ticks each minute, so that "today" becomes "yesterday" by itself. */

import { computed, readonly, ref, type ComputedRef, type Ref } from 'vue'

import { translate } from './i18n'
import { language } from './preferences'
import { useSession } from './stores/session'
import { dateOf, dayTitle, fullOf, listTime, timeOf, type Clock, type DayWords } from './times'

const present = ref(Date.now())
setInterval(() => (present.value = Date.now()), 30_000)
document.addEventListener('visibilitychange', () => (present.value = Date.now()))

export interface Times {
  readonly clock: ComputedRef<Clock>
  readonly now: Readonly<Ref<number>>
  list(at: number): string
  day(at: number): string
  time(at: number): string
  full(at: number): string
  date(at: number): string
  /** "3 min ago" for today, else as a list. */
  ago(at: number): string
}

export function useTimes(): Times {
  const session = useSession()
  const clock = computed<Clock>(() => ({ language: language.value, zone: session.zone }))
  const words = computed<DayWords>(() => ({ today: translate('time.today'), yesterday: translate('time.yesterday') }))
  return {
    clock,
    now: readonly(present),
    list: (at) => listTime(at, present.value, clock.value, words.value),
    day: (at) => dayTitle(at, present.value, clock.value, words.value),
    time: (at) => timeOf(at, clock.value),
    full: (at) => fullOf(at, clock.value),
    date: (at) => dateOf(at, clock.value),
    ago(at) {
      const minutes = Math.floor((present.value - at) / 60_000)
      if (minutes < 1) return translate('time.now')
      if (minutes < 60) return translate('time.minutes', {}, minutes)
      if (minutes < 24 * 60) return translate('time.hours', {}, Math.floor(minutes / 60))
      return listTime(at, present.value, clock.value, words.value)
    },
  }
}
