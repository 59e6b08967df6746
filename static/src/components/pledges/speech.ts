/** What plain sentences about pledges are spoken with: words, amounts and days in the reader's language. */

import type { Ref } from 'vue'

import { useTimes } from '../../clock'
import { useText } from '../../i18n'
import { moneyText } from '../../money/format'
import type { Speech } from '../../pledges/plain'
import { dayTitle } from '../../times'
import { useWeekdays } from './wizard/weekdays'

export function useSpeech(): Speech & { readonly now: Readonly<Ref<number>> } {
  const { t, language } = useText()
  const times = useTimes()
  const weekdays = useWeekdays()
  return {
    t,
    now: times.now,
    money: (minor, currency) => moneyText(minor, currency, language.value),
    day: (day) => dayTitle(Date.parse(`${day}T12:00Z`), times.now.value, { language: language.value, zone: 'UTC' }, null),
    weekday: (day) => weekdays.all[day]?.long ?? '',
  }
}
