import { computed, watch, type ComputedRef } from 'vue'

import { faultCode } from '../../api/fault'
import { useLoaded, type Loaded } from '../../components/loaded'
import { useDuties } from '../../stores/duties'

/** One thing that the desk looks at: loaded again when another one is meant; `missing` when there is none. */
export function useRecord<T>(props: { readonly id: string }, ask: (id: string) => Promise<T>): Loaded<T> & { readonly missing: ComputedRef<boolean> } {
  const duties = useDuties()
  const loaded = useLoaded(() => ask(props.id))
  watch(
    () => props.id,
    () => {
      loaded.value.value = null
      loaded.fault.value = null
      if (duties.isFinance) void loaded.load()
    },
    { immediate: true },
  )
  const missing = computed(() => loaded.fault.value !== null && faultCode(loaded.fault.value) === 'not_found')
  return { ...loaded, missing }
}
