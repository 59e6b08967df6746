/** A form of the wallet in a page: its fields, its id, and asking once. */

import { computed, reactive, ref, shallowRef, watch, type ComputedRef, type Ref, type ShallowRef } from 'vue'

import { newKey } from '../../api'
import { faultCode } from '../../api/fault'
import { begunOf, isUncertain, keepBegun } from '../../money/submission'
import { formKey } from '../../stores/wallet'
import { useSession } from '../../stores/session'

export interface MoneyForm<F extends object> {
  readonly fields: F
  readonly busy: Ref<boolean>
  /** Why it was not done, or that nobody knows. */
  readonly fault: ShallowRef<unknown>
  /** It was sent and not answered: what was asked cannot be changed, only asked again. */
  readonly uncertain: ComputedRef<boolean>
  /** Asks under the form's id; null when it was not done. */
  submit<T>(ask: (id: string) => Promise<T>): Promise<T | null>
  /** Forgets what was begun. */
  clear(): void
}

export function useMoneyForm<F extends object>(name: string, empty: F): MoneyForm<F> {
  const key = formKey(useSession().me?.id ?? '', name)
  const begun = begunOf(sessionStorage, key, empty)
  const fields = reactive({ ...empty, ...begun?.fields }) as F
  const id = ref(begun?.id ?? newKey())
  const sent = ref(begun?.sent ?? false)
  const busy = ref(false)
  const fault = shallowRef<unknown>(null)
  let over = false

  const keep = (): void => {
    if (!over) keepBegun(sessionStorage, key, { id: id.value, fields, sent: sent.value })
  }
  watch(fields, keep)
  watch(fields, () => !sent.value && (fault.value = null))

  function clear(): void {
    keepBegun(sessionStorage, key, null)
    over = false
    id.value = newKey()
    sent.value = false
    fault.value = null
    Object.assign(fields, empty)
  }

  async function submit<T>(ask: (id: string) => Promise<T>): Promise<T | null> {
    if (busy.value) return null
    busy.value = true
    fault.value = null
    sent.value = true
    keep()
    try {
      const answer = await ask(id.value)
      over = true
      keepBegun(sessionStorage, key, null)
      return answer
    } catch (error) {
      fault.value = error
      sent.value = isUncertain(error)
      // Under this id something else was done before: what is asked now is a new thing.
      if (faultCode(error) === 'idempotency_conflict') id.value = newKey()
      keep()
      return null
    } finally {
      busy.value = false
    }
  }

  return { fields, busy, fault, uncertain: computed(() => sent.value && !busy.value), submit, clear }
}
