/** What one has, as far as a page of this window has asked for it, and that something of it has moved. */

import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'

import type { Wallet } from '../money/types'
import { useSession } from './session'

const FORMS = 'vouch.form.'

/** The name under which a window keeps a form that was begun. */
export function formKey(person: string, name: string): string {
  return `${FORMS}${person}.${name}`
}

export const useWallet = defineStore('wallet', () => {
  const session = useSession()
  const wallet = shallowRef<Wallet | null>(null)
  const fault = ref<unknown>(null)
  /** Rises when money has moved or a payment has changed: pages that show some of it load it again. */
  const changes = ref(0)
  let turn = 0

  /** An answer that comes after a later question, or for somebody else, is dropped. */
  async function load(): Promise<void> {
    const mine = ++turn
    const me = session.me?.id
    try {
      const { money } = await import('../api/wallet')
      const fresh = await money.wallet()
      if (mine !== turn || session.me?.id !== me) return
      wallet.value = fresh
      fault.value = null
    } catch (error) {
      if (mine === turn) fault.value = error
    }
  }

  function changed(): void {
    changes.value += 1
    if (wallet.value) void load()
  }

  /** Nothing of it stays in this window. */
  function clear(): void {
    turn += 1
    wallet.value = null
    fault.value = null
    try {
      for (const name of Object.keys(sessionStorage)) if (name.startsWith(FORMS)) sessionStorage.removeItem(name)
    } catch {
      // a window without storage has kept nothing
    }
  }

  return { wallet, fault, changes, load, changed, clear }
})
