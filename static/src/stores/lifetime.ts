/** What begins with a sign-in and ends with it: the connection and everything that is loaded or stored for the person. */

import { CLOSE, type Entry } from '@vouch/realtime'
import { defineStore } from 'pinia'

import { api } from '../api'
import { faultCode } from '../api/fault'
import { router } from '../router'
import { useCalls } from './calls'
import { useConnection } from './connection'
import { useConversations } from './conversations'
import { useDrafts } from './drafts'
import { useDuties } from './duties'
import { LocalShelf } from './local'
import { useNotices } from './notices'
import { usePeople } from './people'
import { usePledges } from './pledges'
import { usePush } from './push'
import { useSafety } from './safety'
import { useSearch } from './search'
import { useSession, type OutReason } from './session'
import { useTimelines } from './timelines'
import { useTrays } from './trays'
import { useUploads } from './uploads'
import { useWallet } from './wallet'

export const useLifetime = defineStore('lifetime', () => {
  const session = useSession()
  const connection = useConnection()
  const people = usePeople()
  const conversations = useConversations()
  const timelines = useTimelines()
  const drafts = useDrafts()
  const notices = useNotices()
  const push = usePush()
  const uploads = useUploads()
  const trays = useTrays()

  const duties = useDuties()
  const safety = useSafety()
  const wallet = useWallet()
  const pledges = usePledges()
  const calls = useCalls()

  function loadAll(): void {
    void conversations.load()
    void people.load()
    duties.changed()
    wallet.changed()
    safety.changed()
    pledges.stale()
    calls.stale()
    session.refresh().catch(() => undefined) // an expired sign-in has been told already; the rest is stored
  }

  function onInbox(entry: Entry): void {
    const id = entry.body['conversation']
    const person = entry.body['person']
    const pledge = entry.body['pledge']
    switch (entry.kind) {
      case 'conversation_added':
      case 'notify_changed':
        if (typeof id === 'string') conversations.refetch(id).catch(() => undefined)
        break
      case 'conversation_removed':
        if (typeof id === 'string') conversations.forget(id)
        break
      case 'profile_changed':
        if (typeof person === 'string' && person !== session.me?.id) people.forgetCard(person)
        else session.refresh().catch(() => undefined)
        break
      case 'ring':
      case 'ring_over':
      case 'call_changed':
        calls.told(entry)
        break
      case 'payment_changed':
      case 'payment_ended':
      case 'money_moved':
      case 'money_received':
      case 'adjusted':
      case 'dispute_decided':
        wallet.changed()
        break
      case 'pledge_news':
      case 'pledge_changed':
      case 'pledge_tally':
        if (typeof pledge === 'string') pledges.changed(pledge)
        if (entry.body['what'] === 'case_waiting') duties.changed()
        break
      case 'report_made':
      case 'dispute_opened':
      case 'adjustment_proposed':
        duties.changed()
        break
      case 'factors_changed':
        safety.factorsChanged()
        wallet.changed()
        break
      case 'guardian_changed':
        safety.familyChanged()
        wallet.changed()
        break
      case 'friend_requested':
      case 'friend_accepted':
      case 'friend_removed':
      case 'request_withdrawn':
        void people.load()
        break
    }
  }

  function onEnded(closeCode: number | undefined): void {
    if (closeCode === CLOSE.SIGNED_OUT) void end('ended', true)
    // Without a code: the cookie belongs to somebody else by now, who has signed in in another window.
    else if (closeCode === CLOSE.UNAUTHENTICATED || closeCode === undefined) void end('expired', false)
  }

  function begin(): void {
    const me = session.me
    if (!me) return
    connection.start(me.id, session.shelf().read<string>('epoch'), { inbox: onInbox, stale: loadAll, ended: onEnded })
    drafts.restore()
    people.restore()
    conversations.restore()
    notices.begin()
    push.begin((url) => void router.push(url))
    uploads.begin()
    void conversations.load()
    void people.load()
    void pledges.load()
    calls.begin()
    duties.changed()
  }

  /** Leaves; with `erase` nothing of this person stays on the device. */
  async function end(reason: OutReason | null, erase: boolean): Promise<void> {
    const me = session.me
    if (!me) return
    session.leave(reason)
    notices.end()
    const unsubscribed = push.end()
    conversations.clear()
    people.clear()
    timelines.clear()
    useSearch().clear()
    drafts.clear()
    trays.clear()
    wallet.clear()
    pledges.clear()
    calls.clear()
    if (erase) new LocalShelf(me.id).erase()
    await Promise.all([unsubscribed, uploads.end(erase), connection.stop(erase)])
  }

  async function signOut(): Promise<void> {
    try {
      await api.signOut()
    } catch (error) {
      if (faultCode(error) !== 'unauthenticated') throw error
    }
    await end(null, true)
  }

  async function deleteAccount(password: string): Promise<void> {
    await api.deleteMe(password)
    await end('deleted', true)
  }

  return { begin, end, signOut, deleteAccount }
})
