/** The days of the week in the reader's language; 0 is Monday. */

import { computed, reactive } from 'vue'

import { useText } from '../../../i18n'

/** A Monday. */
const MONDAY = Date.UTC(2024, 0, 1)
const DAY = 86_400_000

export interface Weekdays {
  readonly all: readonly { readonly value: number; readonly short: string; readonly long: string }[]
}

export function useWeekdays(): Weekdays {
  const { language } = useText()
  const all = computed(() => {
    const named = (weekday: 'short' | 'long', at: number): string => new Intl.DateTimeFormat(language.value, { weekday, timeZone: 'UTC' }).format(at)
    return Array.from({ length: 7 }, (_, value) => ({ value, short: named('short', MONDAY + value * DAY), long: named(language.value === 'en' ? 'long' : 'short', MONDAY + value * DAY) }))
  })
  return reactive({ all })
}
