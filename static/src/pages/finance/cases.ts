import { computed, ref, shallowRef, watch, type ComputedRef, type Ref } from 'vue'

import type { PersonCard } from '../../api/types'
import { useLoaded, type Loaded } from '../../components/loaded'
import { useText } from '../../i18n'
import { useDuties } from '../../stores/duties'
import { usePeople } from '../../stores/people'

/** One page of cases; `next` continues it. */
interface Page<T> {
  readonly cases: readonly T[]
  readonly people: readonly PersonCard[]
  readonly next: number | null
}

export interface Cases<T> extends Pick<Loaded<Page<T>>, 'fault' | 'load'> {
  readonly page: Loaded<Page<T>>['value']
  readonly shown: Ref<'open' | 'decided'>
  readonly choices: ComputedRef<{ value: 'open' | 'decided'; text: string }[]>
  readonly all: ComputedRef<T[]>
  /** What continues the list; null at its end. */
  readonly next: ComputedRef<number | null>
  more(): Promise<void>
}

/** What the desk decides: the open ones or those decided, loaded again when something changes, continued by `more`. */
export function useCases<T>(ask: (decided: boolean, before: number | null) => Promise<Page<T>>): Cases<T> {
  const { t } = useText()
  const duties = useDuties()
  const people = usePeople()
  const shown = ref<'open' | 'decided'>('open')
  const { value: page, fault, load } = useLoaded(() => ask(shown.value === 'decided', null))
  const older = shallowRef<{ cases: readonly T[]; next: number | null }>({ cases: [], next: null })
  watch(page, (now) => {
    older.value = { cases: [], next: now?.next ?? null }
    if (now) people.learn(now.people)
  })
  watch(shown, () => {
    page.value = null
    void load()
  })
  watch(() => duties.changes, load)
  if (duties.isFinance) void load()
  return {
    page,
    fault,
    load,
    shown,
    choices: computed(() => (['open', 'decided'] as const).map((value) => ({ value, text: t(`finance.cases.${value}`) }))),
    all: computed(() => [...(page.value?.cases ?? []), ...older.value.cases]),
    next: computed(() => older.value.next),
    async more() {
      const following = await ask(shown.value === 'decided', older.value.next)
      people.learn(following.people)
      older.value = { cases: [...older.value.cases, ...following.cases], next: following.next }
    },
  }
}
