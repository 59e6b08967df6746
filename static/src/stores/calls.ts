/** One's own calls: who rings, the call that this window is in, the list. What carries sound and pictures is loaded when a call is joined. */

import type { Entry } from '@vouch/realtime'
import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'

import type { Room } from '../calls/room'
import type { CallView, Ring, Wishes } from '../calls/types'
import { useConnection } from './connection'
import { useSession } from './session'

const PAGE = 30
/** Milliseconds that a phone rings, and in which several changes lead to one look at the list. */
const RING = 45_000
const GATHER = 250

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

export const useCalls = defineStore('calls', () => {
  const session = useSession()
  const connection = useConnection()

  const rings = shallowRef<readonly Ring[]>([])
  /** Null: this window is in no call. */
  const current = shallowRef<CallView | null>(null)
  const room = shallowRef<Room | null>(null)
  /** The newest of one's own; null: not known yet. */
  const list = shallowRef<readonly CallView[] | null>(null)
  const more = ref(false)
  const fault = ref<unknown>(null)
  let turn = 0
  let again: ReturnType<typeof setTimeout> | null = null

  /** conversation → the call that goes on there. */
  const running = computed(() => {
    const found = new Map(rings.value.map((ring) => [ring.conversation, ring.call]))
    for (const call of [...(list.value ?? [])].reverse()) if (call.state !== 'ended') found.set(call.conversation, call.id)
    if (current.value) found.set(current.value.conversation, current.value.id)
    return found
  })
  const me = computed(() => session.me?.id ?? '')
  const runningIn = (conversation: string): string | null => running.value.get(conversation) ?? null

  // ── The list ──────────────────────────────────────────────────────────────────────────────────────────────────────

  const api = async () => (await import('../calls/api')).api

  async function load(): Promise<void> {
    const [mine, me] = [++turn, session.me?.id]
    if (!me) return
    try {
      const page = await (await api()).mine(null, PAGE)
      if (mine !== turn || session.me?.id !== me) return
      list.value = page.calls
      more.value = page.more
      fault.value = null
      // What has rung before this page was opened rings here too.
      for (const call of page.calls) {
        const seat = call.seats.find((each) => each.person === me)
        if (seat?.state === 'ringing' && call.rings_until != null) ring({ call: call.id, conversation: call.conversation, by: call.by, video: call.video, until: call.rings_until })
      }
      rings.value = rings.value.filter((each) => page.calls.every((call) => call.id !== each.call || call.seats.some((seat) => seat.person === me && seat.state === 'ringing')))
    } catch (error) {
      if (mine === turn) fault.value = error
    }
  }

  async function loadMore(): Promise<void> {
    const [mine, last] = [turn, list.value?.at(-1)]
    if (!last) return
    const page = await (await api()).mine(last.id, PAGE)
    if (mine !== turn) return
    list.value = [...(list.value ?? []), ...page.calls]
    more.value = page.more
  }

  function soon(): void {
    again ??= setTimeout(() => {
      again = null
      void load()
    }, GATHER)
  }

  // ── Ringing ───────────────────────────────────────────────────────────────────────────────────────────────────────

  function quiet(call: string): void {
    rings.value = rings.value.filter((each) => each.call !== call)
  }

  function ring(fresh: Ring): void {
    const left = fresh.until - Date.now()
    if (left <= 0 || current.value?.id === fresh.call || rings.value.some((each) => each.call === fresh.call)) return
    rings.value = [...rings.value, fresh]
    setTimeout(() => quiet(fresh.call), left)
  }

  /** An entry of the own inbox. */
  function told(entry: Entry): void {
    const call = text(entry.body['call'])
    if (entry.kind === 'ring') ring({ call, conversation: text(entry.body['conversation']), by: text(entry.body['by']), video: entry.body['video'] === true, until: entry.at + RING })
    else if (entry.kind === 'ring_over') quiet(call)
    soon()
  }

  // ── One call ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async function get(id: string): Promise<CallView> {
    return (await api()).get(id)
  }

  /** Tells each state of a call from now on, until the answer is called. */
  function follow(id: string, tell: (call: CallView) => void): () => void {
    const handle = connection.channel(`call:${id}`)
    let over = false
    let asked = 0
    async function look(): Promise<void> {
      const mine = ++asked
      try {
        const fresh = await get(id)
        if (!over && mine === asked) tell(fresh)
      } catch {
        // put out of the conversation, or no connection: the next entry, or the next connection, tells more
      }
    }
    handle.on('entry', () => void look())
    handle.on('reset', () => void look())
    handle.on('info', () => void look())
    handle.open()
    return () => {
      over = true
      handle.release()
    }
  }

  /** Joins with what is wished for: from here on devices are opened. Another call of this window is left. */
  async function enter(call: CallView, wishes: Wishes): Promise<void> {
    quiet(call.id)
    const { openRoom } = await import('../calls/room')
    const opened = openRoom(call, wishes, { me: session.me?.id ?? '', follow, channel: (id) => connection.channel(`call:${id}`), changed: (now) => void (current.value = room.value === opened ? now : current.value), closed: () => room.value === opened && left() })
    room.value = opened
    current.value = call
  }

  function left(): void {
    room.value = null
    current.value = null
    soon()
  }

  async function join(id: string, wishes: Wishes): Promise<CallView> {
    await room.value?.leave() // nobody is in two calls
    const call = await (await api()).accept(id)
    await enter(call, wishes)
    return call
  }

  /** Calls the others of a conversation, or joins the call that goes on there. */
  async function start(conversation: string, { video, pledge }: { video: boolean; pledge: string | null }, wishes: Wishes): Promise<CallView> {
    const key = crypto.randomUUID().replaceAll('-', '')
    await room.value?.leave()
    const made = await (await api()).start({ conversation, video, pledge, key })
    const inside = made.seats.some((seat) => seat.person === session.me?.id && seat.here && seat.state === 'joined')
    if (!inside) return join(made.id, wishes)
    await enter(made, wishes)
    return made
  }

  async function decline(id: string): Promise<void> {
    await (await api()).decline(id)
    quiet(id)
    soon()
  }

  // ── The sign-in ───────────────────────────────────────────────────────────────────────────────────────────────────

  function begin(): void {
    void load()
  }

  function stale(): void {
    void load()
  }

  function clear(): void {
    turn += 1
    if (again !== null) clearTimeout(again)
    again = null
    room.value?.close()
    room.value = null
    current.value = null
    rings.value = []
    list.value = null
    more.value = false
    fault.value = null
  }

  return { me, rings, current, room, list, more, fault, runningIn, load, loadMore, told, get, follow, join, start, decline, begin, stale, clear }
})
