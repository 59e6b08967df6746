/** Something that a page shows and can load again: what was loaded last stays while it does. */

import { ref, shallowRef, type Ref, type ShallowRef } from 'vue'

export interface Loaded<T> {
  readonly value: ShallowRef<T | null>
  readonly fault: Ref<unknown>
  load(): Promise<void>
}

/** An answer that comes after a later question is dropped. */
export function useLoaded<T>(ask: () => Promise<T>): Loaded<T> {
  const value: ShallowRef<T | null> = shallowRef(null)
  const fault = ref<unknown>(null)
  let turn = 0
  return {
    value,
    fault,
    async load() {
      const mine = ++turn
      try {
        const answer = await ask()
        if (mine !== turn) return
        value.value = answer
        fault.value = null
      } catch (error) {
        if (mine === turn) fault.value = error
      }
    },
  }
}
