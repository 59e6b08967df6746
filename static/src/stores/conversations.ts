/** The conversations of the person: list, unread counts, who is there, who types, how far everybody has read. */

import type { ChannelHandle, Edit, Entry, Message, Pending } from '@vouch/realtime'
import { defineStore } from 'pinia'
import { computed, ref, shallowReactive, watch } from 'vue'

import { api } from '../api'
import { faultCode } from '../api/fault'
import type { Conversation, MemberPosition } from '../api/types'
import { isStructural, merged, unreadOf, withEntry, withInfo, withRead } from '../chat/conversation'
import { levelNow } from '../notifications/mute'
import { useConnection } from './connection'
import { usePeople } from './people'
import { useQuotes } from './quotes'
import { useSession } from './session'
import { useTimelines } from './timelines'
import { useTyping } from './typing'

/** Milliseconds in which several structural entries lead to one refetch. */
const GATHER = 150
/** So many conversations are remembered for a start without connection. */
const REMEMBERED = 50

/** A message on its way; `ref` is the one that it answers. What is not told is left out. */
export type NewMessage = Message & { readonly ref?: number | null }

const NEWER: Pick<Conversation, 'pins' | 'mentioned' | 'everybody_by' | 'notify'> = { pins: [], mentioned: [], everybody_by: 'members', notify: {} }
const NOBODY: ReadonlySet<string> = new Set()
const NOTHING_PENDING: readonly Pending[] = []

export const useConversations = defineStore('conversations', () => {
  const session = useSession()
  const connection = useConnection()
  const people = usePeople()
  const timelines = useTimelines()
  const quotes = useQuotes()
  const typing = useTyping()

  const byId = shallowReactive(new Map<string, Conversation>())
  const online = shallowReactive(new Map<string, ReadonlySet<string>>())
  /** How many are here, also where they are too many to be named. */
  const crowds = shallowReactive(new Map<string, number>())
  const pending = shallowReactive(new Map<string, readonly Pending[]>())
  /** conversation → person → how far; the own one is in the conversation itself. */
  const positions = shallowReactive(new Map<string, ReadonlyMap<string, MemberPosition>>())
  const loaded = ref(false)
  const loading = ref(false)
  const fault = ref<unknown>(null)
  const next = ref<string | null>(null)
  /** Somebody asked for the list while it was on its way. */
  let again = false
  /** Told about each message of somebody else, for the page's live region. */
  const heard = ref<{ conversation: string; entry: Entry } | null>(null)

  const handles = new Map<string, ChannelHandle>()
  /** Side views of a conversation that follow its entries; null: what they know is no longer true. */
  const followers = new Map<string, Set<(entry: Entry | null) => void>>()
  /** The head at the first subscription: entries up to it are replayed, and no news to be told aloud. */
  const replayed = new Map<string, number>()
  const refetching = new Map<string, ReturnType<typeof setTimeout>>()

  const list = computed(() => [...byId.values()].sort((a, b) => b.active_at - a.active_at || (a.id < b.id ? 1 : -1)))
  const unread = computed(() => {
    let sum = 0
    for (const conversation of byId.values()) if (levelNow(conversation.notify, Date.now()) === 'all') sum += unreadOf(conversation)
    return sum
  })

  // ── One conversation ──────────────────────────────────────────────────────────────────────────────────────────────

  function update(id: string, change: (known: Conversation) => Conversation): void {
    const known = byId.get(id)
    const after = known && change(known)
    if (after && after !== known) byId.set(id, after)
  }

  function movePosition(id: string, moved: MemberPosition): void {
    const before = positions.get(id)
    const old = before?.get(moved.person)
    if (old && old.read >= moved.read && old.delivered >= moved.delivered) return
    const after = new Map(before)
    after.set(moved.person, {
      person: moved.person,
      read: Math.max(moved.read, old?.read ?? 0),
      delivered: Math.max(moved.delivered, old?.delivered ?? 0),
    })
    positions.set(id, after)
  }

  // ── How far the others are ────────────────────────────────────────────────────────────────────────────────────────

  /** What they read while nobody listened here is not told again: it is asked for whenever a conversation goes live under somebody's eyes. */
  const looked = new Map<string, number>()
  const placed = new Set<string>()
  watch(
    () => connection.state,
    (state) => state !== 'online' && placed.clear(),
    { flush: 'sync' },
  )

  async function loadPositions(id: string): Promise<void> {
    const { positions: all } = await api.positions(id)
    if (byId.has(id)) for (const position of all) if (position.person !== session.me?.id) movePosition(id, position)
  }

  function placeSoon(id: string): void {
    if (!looked.has(id) || placed.has(id) || handles.get(id)?.info === null) return
    placed.add(id)
    loadPositions(id).catch(() => placed.delete(id)) // the next entry, or the next look, asks again
  }

  /** Hears each entry of the conversation, until the answer is called. */
  function hear(id: string, listener: (entry: Entry | null) => void): () => void {
    const all = followers.get(id) ?? new Set()
    followers.set(id, all.add(listener))
    return () => void all.delete(listener)
  }

  /** Somebody looks at the conversation, until the answer is called. */
  function look(id: string): () => void {
    looked.set(id, (looked.get(id) ?? 0) + 1)
    placeSoon(id)
    return () => {
      const left = (looked.get(id) ?? 1) - 1
      if (left > 0) looked.set(id, left)
      else looked.delete(id)
    }
  }

  function onEntry(id: string, entry: Entry): void {
    update(id, (known) => withEntry(known, entry, session.me?.id ?? ''))
    timelines.entry(id, entry)
    quotes.entry(id, entry)
    followers.get(id)?.forEach((listener) => listener(entry))
    const own = entry.by === session.me?.id
    if (entry.kind === 'message') {
      typing.set(id, entry.by, false)
      if (own) markRead(id, entry.seq, entry.n) // who writes has read
      else {
        handles.get(id)?.position({ delivered: entry.seq })
        if (entry.seq > (replayed.get(id) ?? 0)) heard.value = { conversation: id, entry }
      }
    }
    if (isStructural(entry)) refetchSoon(id)
  }

  function follow(conversation: Conversation): void {
    if (handles.has(conversation.id)) return
    const { id } = conversation
    const handle = connection.channel(conversation.ch)
    handles.set(id, handle)
    handle.on('entry', (entry) => onEntry(id, entry))
    handle.on('reset', (reason) => {
      // Numbers of a database that was restored since mean nothing: the server's hold, though they may be lower.
      if (reason === 'epoch' || reason === 'ahead') {
        update(id, (known) => ({ ...known, head: 0, n: 0, read: 0, read_n: 0, delivered: 0 }))
        positions.delete(id)
      }
      timelines.reset(id)
      quotes.drop(id)
      followers.get(id)?.forEach((listener) => listener(null))
      refetchSoon(id)
    })
    handle.on('info', (info) => {
      update(id, (known) => withInfo(known, info))
      if (!placed.has(id)) placeSoon(id)
      if (!replayed.has(id)) replayed.set(id, info.head)
      if (info.head > info.delivered) handle.position({ delivered: info.head })
    })
    handle.on('presence', (here, count) => {
      online.set(id, here)
      crowds.set(id, count)
    })
    handle.on('pending', (all) => pending.set(id, all))
    handle.on('position', (moved) => {
      if (moved.by === session.me?.id) update(id, (known) => withRead(known, moved.read, moved.read_n))
      else movePosition(id, { person: moved.by, read: moved.read, delivered: moved.delivered })
    })
    handle.on('signal', (signal) => {
      if (signal.kind === 'typing' && signal.by !== session.me?.id) typing.set(id, signal.by, signal.body['on'] === true)
    })
    handle.on('dropped', () => refetchSoon(id))
    pending.set(id, handle.pending)
    handle.open({ after: conversation.head })
  }

  function take(fresh: Conversation): Conversation {
    const whole = merged(byId.get(fresh.id), fresh)
    byId.set(fresh.id, whole)
    people.learn(fresh.people)
    for (const position of fresh.positions) if (position.person !== session.me?.id) movePosition(fresh.id, position)
    follow(whole)
    return whole
  }

  function forget(id: string): void {
    handles.get(id)?.release()
    handles.delete(id)
    replayed.delete(id)
    placed.delete(id)
    byId.delete(id)
    online.delete(id)
    crowds.delete(id)
    pending.delete(id)
    positions.delete(id)
    timelines.drop(id)
    quotes.drop(id)
  }

  async function refetch(id: string): Promise<Conversation | null> {
    const me = session.me?.id
    try {
      const fresh = await api.conversation(id)
      if (session.me?.id !== me) return null
      // A subscription that was refused or dropped is tried again, now that the server says yes.
      const known = handles.get(id)
      const whole = take(fresh)
      known?.open({ after: whole.head })
      return whole
    } catch (error) {
      if (faultCode(error) === 'not_found' || faultCode(error) === 'forbidden') forget(id)
      else throw error
      return null
    }
  }

  function refetchSoon(id: string): void {
    if (refetching.has(id)) return
    refetching.set(
      id,
      setTimeout(() => {
        refetching.delete(id)
        if (session.status === 'in') refetch(id).catch(() => undefined) // the next entry or the next start loads it again
      }, GATHER),
    )
  }

  // ── The list ──────────────────────────────────────────────────────────────────────────────────────────────────────

  function remember(): void {
    session.shelf().write('conversations', list.value.slice(0, REMEMBERED))
    session.shelf().write('epoch', connection.epoch())
  }

  async function load(): Promise<void> {
    if (loading.value) {
      again = true // what is on its way may be older than the reason to ask
      return
    }
    loading.value = true
    const me = session.me?.id
    try {
      do {
        again = false
        const before = [...byId.keys()]
        const page = await api.conversations(null)
        if (session.me?.id !== me) return
        page.conversations.forEach(take)
        if (page.next === null) {
          // Only what was known when we asked: others have been added since.
          const present = new Set(page.conversations.map((conversation) => conversation.id))
          for (const id of before) if (!present.has(id)) forget(id)
        }
        if (!loaded.value) next.value = page.next
        loaded.value = true
        fault.value = null
        remember()
      } while (again)
    } catch (error) {
      if (session.me?.id === me) fault.value = error
    } finally {
      if (session.me?.id === me) loading.value = false
    }
  }

  async function more(): Promise<void> {
    if (next.value === null || loading.value) return
    loading.value = true
    const me = session.me?.id
    try {
      const page = await api.conversations(next.value)
      if (session.me?.id !== me) return
      page.conversations.forEach(take)
      next.value = page.next
    } finally {
      if (session.me?.id === me) {
        loading.value = false
        if (again) void load()
      }
    }
  }

  /** What this device knows from before, until the server has answered; an earlier version knew less of each. */
  function restore(): void {
    const known = session.shelf().read<Conversation[]>('conversations') ?? []
    for (const conversation of known) if (!byId.has(conversation.id)) take({ ...NEWER, ...conversation })
  }

  /** The conversation, loaded if it is not in the list; null when it is none of one's own. */
  async function ensure(id: string): Promise<Conversation | null> {
    return byId.get(id) ?? (await refetch(id))
  }

  function clear(): void {
    for (const timer of refetching.values()) clearTimeout(timer)
    refetching.clear()
    for (const id of [...byId.keys()]) forget(id)
    loaded.value = false
    loading.value = false
    again = false
    fault.value = null
    next.value = null
    heard.value = null
    typing.clear()
  }

  // ── What the person does ──────────────────────────────────────────────────────────────────────────────────────────

  function handle(id: string): ChannelHandle {
    const found = handles.get(id)
    if (!found) throw new Error(`conversation ${id} is not open`)
    return found
  }

  function markRead(id: string, seq: number, n: number): void {
    const known = byId.get(id)
    if (!known || seq <= known.read) return
    handles.get(id)?.position({ read: seq, delivered: seq })
    update(id, (conversation) => withRead(conversation, seq, n))
  }

  return {
    byId,
    list,
    unread,
    loaded,
    loading,
    fault,
    next,
    heard,
    load,
    more,
    restore,
    remember,
    ensure,
    refetch,
    take,
    forget,
    clear,
    look,
    hear,
    loadPositions,
    markRead,
    onlineIn: (id: string) => online.get(id) ?? NOBODY,
    crowdIn: (id: string) => crowds.get(id) ?? 0,
    pendingIn: (id: string) => pending.get(id) ?? NOTHING_PENDING,
    positionsIn: (id: string) => positions.get(id) ?? new Map<string, MemberPosition>(),
    history: (id: string, range: { before?: number; after?: number; limit?: number }) => handle(id).history(range),
    say: (id: string, { ref = null, ...message }: NewMessage) => handle(id).send('message', message, ref),
    edit: (id: string, seq: number, words: Edit) => handle(id).send('edit', words, seq),
    erase: (id: string, seq: number) => handle(id).send('delete', {}, seq),
    react: (id: string, seq: number, emoji: string, on: boolean) => handle(id).send('reaction', { emoji, on }, seq),
    tellTyping: (id: string, on: boolean) => handles.get(id)?.signal('typing', { on }),
  }
})
