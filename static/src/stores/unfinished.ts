/** The promise that was begun and not published: on this device only, survives a reload, goes with the sign-out. */

import { defineStore } from 'pinia'
import { computed, shallowRef } from 'vue'

import { newKey } from '../api'
import type { PledgeForm, Step } from '../pledges/draft'
import { useSession } from './session'

const NAME = 'pledge'

export interface Unfinished {
  /** Makes the draft on the server once. */
  readonly key: string
  readonly step: Step
  readonly form: PledgeForm
  /** Under this key something was drafted on the server; what was changed since must be sent again. */
  readonly sent?: boolean
}

function understood(stored: unknown): Unfinished | null {
  if (stored === null || typeof stored !== 'object') return null
  const { key, step, form, sent = false } = stored as Partial<Unfinished>
  return typeof key === 'string' && typeof step === 'string' && form !== null && typeof form === 'object' ? { key, step, form, sent } : null
}

export const useUnfinished = defineStore('unfinished', () => {
  const session = useSession()
  const kept = shallowRef<{ readonly of: string; readonly value: Unfinished | null } | null>(null)

  const value = computed<Unfinished | null>(() => {
    const me = session.me?.id
    if (!me) return null
    return kept.value?.of === me ? kept.value.value : understood(session.shelf().read(NAME))
  })

  function write(next: Unfinished): void {
    const me = session.me?.id
    if (!me) return
    kept.value = { of: me, value: next }
    session.shelf().write(NAME, next)
  }

  function keep(step: Step, form: PledgeForm): void {
    write({ key: value.value?.key ?? newKey(), sent: value.value?.sent ?? false, step, form: JSON.parse(JSON.stringify(form)) as PledgeForm })
  }

  /** Notes that it is sent now; whether it was before. */
  function send(): boolean {
    const now = value.value
    if (!now) return false
    write({ ...now, sent: true })
    return now.sent ?? false
  }

  /** Under its key something else was drafted before: what comes is a new thing. */
  function renew(): void {
    if (value.value) write({ ...value.value, key: newKey(), sent: false })
  }

  function drop(): void {
    const me = session.me?.id
    if (!me) return
    session.shelf().remove(NAME)
    kept.value = { of: me, value: null }
  }

  return { value, keep, send, renew, drop }
})
