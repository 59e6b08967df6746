/** What somebody may do beyond their own chats, and how much waits for them: reports for staff, money for finance. */

import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'

import type { Waiting } from '../finance/types'
import type { Desk } from '../pledges/types'
import { useSession } from './session'

export const useDuties = defineStore('duties', () => {
  const session = useSession()
  /** Reports that wait; staff hear of new ones in their inbox. */
  const open = ref(0)
  /** Cases of pledges that one may decide, and pledges that one may supervise. */
  const pledges = ref(0)
  /** What waits on the pages of the finance desk. */
  const money = shallowRef<Waiting>({ approvals: 0, disputes: 0, adjustments: 0, differences: 0, faults: 0 })
  /** Rises when the queue has changed: pages that show it load it again. */
  const changes = ref(0)

  const roles = computed(() => new Set((session.me?.grants ?? []).filter((grant) => grant.scope === 'system').map((grant) => grant.role)))
  const isAdmin = computed(() => roles.value.has('admin'))
  const isStaff = computed(() => isAdmin.value || roles.value.has('staff'))

  const isFinance = computed(() => isAdmin.value || roles.value.has('finance'))
  const waiting = computed(() => open.value + pledges.value + Object.values(money.value).reduce((sum: number, each: number) => sum + each, 0))

  async function refresh(): Promise<void> {
    await Promise.all([isStaff.value && refreshReports(), isStaff.value && refreshPledges(), isFinance.value && refreshMoney()])
  }

  async function refreshReports(): Promise<void> {
    const { desk } = await import('../api/desk')
    open.value = (await desk.reports('open', null, 1)).open
  }

  async function refreshPledges(): Promise<void> {
    const { pledgeDesk } = await import('../api/pledges')
    learn(await pledgeDesk.queue())
  }

  /** What is shown already is not asked for again. */
  function learn(desk: Desk): void {
    const free = desk.cases.filter((each) => each.why_not === '' && (each.case.mine || each.case.reviewer === null))
    pledges.value = free.length + desk.seats.filter((each) => each.why_not === '').length
  }

  async function refreshMoney(): Promise<void> {
    const { finance } = await import('../api/finance')
    money.value = await finance.waiting()
  }

  /** Something was reported or disputed, or decided here. */
  function changed(): void {
    changes.value += 1
    refresh().catch(() => undefined) // the next change, or the page itself, asks again
  }

  return { open, pledges, money, waiting, changes, isAdmin, isStaff, isFinance, refresh, learn, changed }
})
