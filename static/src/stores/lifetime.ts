/** What begins with a sign-in and ends with it: the connection and everything that is loaded or stored for the person. */

import { CLOSE, type Entry } from '@vouch/realtime'
import { defineStore } from 'pinia'

import { api } from '../api'
import { faultCode } from '../api/fault'
import { useConnection } from './connection'
import { useConversations } from './conversations'
import { useDrafts } from './drafts'
import { LocalShelf } from './local'
import { usePeople } from './people'
import { useSession, type OutReason } from './session'
import { useTimelines } from './timelines'

export const useLifetime = defineStore('lifetime', () => {
  const session = useSession()
  const connection = useConnection()
  const people = usePeople()
  const conversations = useConversations()
  const timelines = useTimelines()
  const drafts = useDrafts()

  function loadAll(): void {
    void conversations.load()
    void people.load()
    session.refresh().catch(() => undefined) // an expired sign-in has been told already; the rest is stored
  }

  function onInbox(entry: Entry): void {
    const id = entry.body['conversation']
    const person = entry.body['person']
    switch (entry.kind) {
      case 'conversation_added':
        if (typeof id === 'string') conversations.refetch(id).catch(() => undefined)
        break
      case 'conversation_removed':
        if (typeof id === 'string') conversations.forget(id)
        break
      case 'profile_changed':
        if (typeof person === 'string' && person !== session.me?.id) people.forgetCard(person)
        else session.refresh().catch(() => undefined)
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
    void conversations.load()
    void people.load()
  }

  /** Leaves; with `erase` nothing of this person stays on the device. */
  async function end(reason: OutReason | null, erase: boolean): Promise<void> {
    const me = session.me
    if (!me) return
    session.leave(reason)
    conversations.clear()
    people.clear()
    timelines.clear()
    drafts.clear()
    if (erase) new LocalShelf(me.id).erase()
    await connection.stop(erase)
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
