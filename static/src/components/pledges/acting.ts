/** Doing something with a pledge: busy while it lasts, a sentence when it fails, and the pledge as it is then. */

import { ref, type Ref } from 'vue'

import { faultCode, type FaultCode } from '../../api/fault'
import { pledges } from '../../api/pledges'
import type { PledgeView } from '../../pledges/types'
import { sentence } from '../../sentences'
import { Undelivered } from './delivery'

/** Refusals that say that the page shows something old. */
const OUTDATED: readonly FaultCode[] = ['already', 'closed', 'conflict', 'stale']

export interface Acting {
  readonly busy: Ref<boolean>
  /** What happened, what was kept, what to do; empty: nothing went wrong. */
  readonly fault: Ref<string>
  /** True when it was done. `done` is called before the pledge changes: what it changes into may have no place for this form. */
  act(action: () => Promise<PledgeView>, done?: () => void): Promise<boolean>
}

export function useActing(pledge: () => PledgeView, changed: (pledge: PledgeView) => void): Acting {
  const busy = ref(false)
  const fault = ref('')

  async function look(): Promise<void> {
    try {
      changed(await pledges.get(pledge().id, pledge().link))
    } catch {
      // what the page shows stays, and the fault says why
    }
  }

  return {
    busy,
    fault,
    async act(action, done) {
      if (busy.value) return false
      busy.value = true
      fault.value = ''
      try {
        const fresh = await action()
        done?.()
        changed(fresh)
        return true
      } catch (error) {
        fault.value = error instanceof Undelivered ? error.message : sentence(error)
        if (OUTDATED.includes(faultCode(error))) await look()
        return false
      } finally {
        busy.value = false
      }
    },
  }
}
