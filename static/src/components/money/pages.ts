/** A list that is loaded page by page, and from its beginning again when something has changed. */

import { ref, shallowRef, type Ref, type ShallowRef } from 'vue'

export interface Pages<T> {
  readonly items: ShallowRef<readonly T[] | null>
  readonly more: Ref<boolean>
  readonly loading: Ref<boolean>
  readonly fault: Ref<unknown>
  /** From the beginning; what is shown stays until the answer is there. */
  load(): Promise<void>
  further(): Promise<void>
  /** Forgets what is shown: something else is asked now. */
  forget(): void
}

/** `ask` gets the `next` of the page before. An answer that comes after a later question is dropped. */
export function usePages<T>(ask: (before: string | null) => Promise<{ items: readonly T[]; next: string | null }>): Pages<T> {
  const items: ShallowRef<readonly T[] | null> = shallowRef(null)
  const more = ref(false)
  const loading = ref(false)
  const fault = ref<unknown>(null)
  let next: string | null = null
  let turn = 0

  async function fetch(before: string | null): Promise<void> {
    const mine = ++turn
    loading.value = true
    try {
      const page = await ask(before)
      if (mine !== turn) return
      items.value = before === null ? page.items : [...(items.value ?? []), ...page.items]
      next = page.next
      more.value = next !== null
      fault.value = null
    } catch (error) {
      if (mine === turn) fault.value = error
    } finally {
      if (mine === turn) loading.value = false
    }
  }

  return {
    items,
    more,
    loading,
    fault,
    load: () => fetch(null),
    further: () => (next === null ? Promise.resolve() : fetch(next)),
    forget() {
      turn += 1
      items.value = null
      fault.value = null
      more.value = false
      loading.value = false
    },
  }
}
