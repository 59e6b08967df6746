/** That one's second factors or family have changed: the pages that show them load them again. */

import { defineStore } from 'pinia'
import { ref } from 'vue'

export const useSafety = defineStore('safety', () => {
  const factors = ref(0)
  const family = ref(0)

  function factorsChanged(): void {
    factors.value += 1
  }

  function familyChanged(): void {
    family.value += 1
  }

  /** What came meanwhile is not known: look at everything again. */
  function changed(): void {
    factorsChanged()
    familyChanged()
  }

  return { factors, family, factorsChanged, familyChanged, changed }
})
