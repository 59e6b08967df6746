/** One's own pledges, as far as a page of this window has asked for them; how many wait for oneself; and that some have changed. */

import { defineStore } from 'pinia'
import { computed, reactive, ref, shallowRef } from 'vue'

import type { PledgeCard } from '../pledges/types'
import { useSession } from './session'

const PAGE = 50

export const usePledges = defineStore('pledges', () => {
  const session = useSession()
  /** The newest of one's own; null: not known yet. */
  const cards = shallowRef<readonly PledgeCard[] | null>(null)
  const next = ref<string | null>(null)
  const fault = ref<unknown>(null)
  /** Rises with each pledge that has changed: lists load again. */
  const changes = ref(0)
  /** pledge → how often it has changed while this window was open: its page loads it again. */
  const versions = reactive(new Map<string, number>())
  let turn = 0
  let again: ReturnType<typeof setTimeout> | null = null

  const waiting = computed(() => (cards.value ?? []).filter((card) => card.waits_for_me !== '' && card.state !== 'draft').length)

  /** An answer that comes after a later question, or for somebody else, is dropped. */
  async function load(): Promise<void> {
    const mine = ++turn
    const me = session.me?.id
    if (!me) return
    try {
      const { pledges } = await import('../api/pledges')
      const page = await pledges.mine({ role: null, state: null }, null, PAGE)
      if (mine !== turn || session.me?.id !== me) return
      cards.value = page.pledges
      next.value = page.next
      fault.value = null
    } catch (error) {
      if (mine === turn) fault.value = error
    }
  }

  /** Those before what is known. */
  async function more(): Promise<void> {
    const [mine, from] = [turn, next.value]
    if (from === null) return
    const [{ pledges }, { joined }] = await Promise.all([import('../api/pledges'), import('../pledges/lists')])
    const page = await pledges.mine({ role: null, state: null }, from, PAGE)
    if (mine !== turn) return
    cards.value = joined(cards.value ?? [], page.pledges)
    next.value = page.next
  }

  /** Several that change in the same moment are loaded once. */
  function changed(id: string): void {
    versions.set(id, (versions.get(id) ?? 0) + 1)
    changes.value += 1
    again ??= setTimeout(() => {
      again = null
      void load()
    }, 250)
  }

  /** After a time without a connection anything may have changed. */
  function stale(): void {
    for (const [id, version] of versions) versions.set(id, version + 1)
    changes.value += 1
    void load()
  }

  /** A page looks at it: from now on it is told when it changes. */
  function watching(id: string): number {
    if (!versions.has(id)) versions.set(id, 0)
    return versions.get(id) ?? 0
  }

  /** Nothing of it stays in this window. */
  function clear(): void {
    turn += 1
    if (again !== null) clearTimeout(again)
    again = null
    cards.value = null
    next.value = null
    fault.value = null
    versions.clear()
  }

  return { cards, next, fault, waiting, changes, versions, load, more, changed, stale, watching, clear }
})
