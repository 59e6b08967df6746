/** The present to the second, for as long as a component shows it: for what ends within minutes. */

import { onBeforeUnmount, ref, type Ref } from 'vue'

export function useTicking(): Readonly<Ref<number>> {
  const now = ref(Date.now())
  const timer = setInterval(() => (now.value = Date.now()), 1_000)
  onBeforeUnmount(() => clearInterval(timer))
  return now
}
