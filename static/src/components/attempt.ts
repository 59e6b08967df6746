/** Runs an action of a button: busy while it lasts, a short notice when it fails. */

import { showToast } from '@vouch/ui'
import { ref, type Ref } from 'vue'

import { sentence } from '../sentences'

export interface Attempt {
  readonly busy: Ref<boolean>
  /** False when it failed, or another one was still running. */
  run(action: () => Promise<unknown>, done?: string): Promise<boolean>
}

export function useAttempt(): Attempt {
  const busy = ref(false)
  return {
    busy,
    async run(action, done) {
      if (busy.value) return false
      busy.value = true
      try {
        await action()
        if (done !== undefined) showToast(done, 'good')
        return true
      } catch (error) {
        showToast(sentence(error), 'wrong')
        return false
      } finally {
        busy.value = false
      }
    },
  }
}
