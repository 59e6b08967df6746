/** Who is signed in here, and the ways in and out. */

import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'

import { api } from '../api'
import { faultCode } from '../api/fault'
import type { Me, Profile, Registration } from '../api/types'
import { language } from '../preferences'
import { browserZone } from '../times'
import { LocalShelf, lastPerson, rememberPerson } from './local'

export type SessionStatus = 'unknown' | 'in' | 'out' | 'unreachable'

/** Why somebody stands at the sign-in page again. `ended`: on another device; `expired`: by itself. */
export type OutReason = 'ended' | 'expired' | 'deleted'

export const useSession = defineStore('session', () => {
  const status = ref<SessionStatus>('unknown')
  const me = shallowRef<Me | null>(null)
  const reason = ref<OutReason | null>(null)
  const zone = computed(() => me.value?.time_zone ?? browserZone())

  function shelf(): LocalShelf {
    if (!me.value) throw new Error('nobody is signed in')
    return new LocalShelf(me.value.id)
  }

  function take(fresh: Me): void {
    me.value = fresh
    language.value = fresh.language
    new LocalShelf(fresh.id).write('me', fresh)
    rememberPerson(fresh.id)
  }

  function enter(fresh: Me): void {
    take(fresh)
    reason.value = null
    status.value = 'in'
  }

  /**
   * The person of this device goes on at once with what is stored, and the server is asked meanwhile: a page opens
   * without waiting, and without a connection. A device that knows nobody has to wait for the answer.
   */
  async function restore(): Promise<void> {
    const last = lastPerson()
    const known = last === null ? null : new LocalShelf(last).read<Me>('me')
    if (known) {
      enter(known)
      void confirm(known.id)
      return
    }
    try {
      enter(await api.me())
    } catch (error) {
      if (faultCode(error) !== 'unauthenticated') status.value = 'unreachable'
      else {
        status.value = 'out'
        if (last !== null) reason.value = 'expired'
      }
    }
  }

  /** Whether the cookie still belongs to this person. That it is no longer valid is told by api/http.ts. */
  async function confirm(id: string): Promise<void> {
    try {
      const fresh = await api.me()
      if (me.value?.id !== id) return
      if (fresh.id === id) take(fresh)
      else {
        // Somebody else has signed in here since: nothing of one may be shown to the other.
        rememberPerson(fresh.id)
        window.location.reload()
      }
    } catch {
      // without an answer the page goes on with what it has
    }
  }

  async function refresh(): Promise<void> {
    if (status.value === 'in') take(await api.me())
  }

  async function signIn(login: string, password: string): Promise<void> {
    enter((await api.signIn(login, password)).me)
  }

  async function register(registration: Registration): Promise<void> {
    enter(await api.register({ language: language.value, time_zone: browserZone(), ...registration }))
  }

  async function change(profile: Profile): Promise<void> {
    take(await api.changeMe(profile))
  }

  async function putAvatar(file: Blob): Promise<void> {
    take(await api.putAvatar(file))
  }

  async function deleteAvatar(): Promise<void> {
    take(await api.deleteAvatar())
  }

  /** The page goes back to the sign-in; what is stored is erased by stores/lifetime.ts. */
  function leave(why: OutReason | null): void {
    if (status.value !== 'in') return
    status.value = 'out'
    reason.value = why
    rememberPerson(why === 'expired' ? (me.value?.id ?? null) : null)
    me.value = null
  }

  return { status, me, reason, zone, shelf, restore, refresh, signIn, register, change, putAvatar, deleteAvatar, leave }
})
