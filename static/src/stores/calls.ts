/** One's own calls: who rings, the call that this window is in, the list. What carries sound and pictures is loaded when a call is joined. */

import type { Entry } from '@vouch/realtime'
import { defineStore } from 'pinia'
import { computed, ref, shallowRef, watch } from 'vue'

import { faultCode } from '../api/fault'
import { windowsOf, withoutRing, withRing, type Windows } from '../calls/rings'
import type { Room } from '../calls/room'
import type { CallView, Ring, Wishes } from '../calls/types'
import { useConnection } from './connection'
import { useSession } from './session'

const PAGE = 30
/** Milliseconds that a phone rings, in which several changes lead to one look at the list, and between two tries for a socket. */
const RING = 45_000
const GATHER = 250
const HURRY = 1_000

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

export const useCalls = defineStore('calls', () => {
  const session = useSession()
  const connection = useConnection()

  const rings = shallowRef<readonly Ring[]>([])
  /** Calls that ring without a sound: somebody has asked for that, here or in another window. */
  const hushed = shallowRef<ReadonlySet<string>>(new Set())
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
        if (seat?.state === 'ringing' && call.rings_until != null) ring({ call: call.id, conversation: call.conversation, by: call.by, video: call.video, until: bounded(call.rings_until, Date.now() + RING) })
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

  /** The other windows of this person in this browser. */
  let windows: Windows | null = null

  function quiet(call: string): void {
    rings.value = withoutRing(rings.value, call)
  }

  function hush(calls: readonly string[]): void {
    hushed.value = new Set([...hushed.value, ...calls])
  }

  /** No sound any more for those that ring now, in every window of this browser; whoever calls afterwards is heard. */
  function silence(): void {
    const calls = rings.value.map((ring) => ring.call)
    hush(calls)
    for (const call of calls) windows?.tell('hushed', call)
  }

  /** In every window at once, before the server has told them. */
  function quietEverywhere(call: string): void {
    quiet(call)
    windows?.tell('quiet', call)
  }

  /** The server says until when; a clock that goes wrong here makes no phone ring on and on, or not at all. */
  function bounded(until: number, otherwise: number): number {
    const left = until - Date.now()
    return left > 0 && left <= RING ? until : otherwise
  }

  function ring(fresh: Ring): void {
    const now = Date.now()
    const after = withRing(rings.value, fresh, now, current.value?.id ?? null)
    if (after === rings.value) return
    rings.value = after
    setTimeout(() => quiet(fresh.call), fresh.until - now)
  }

  /** An entry of the own inbox. */
  function told(entry: Entry): void {
    const call = text(entry.body['call'])
    if (entry.kind === 'ring') ring({ call, conversation: text(entry.body['conversation']), by: text(entry.body['by']), video: entry.body['video'] === true, until: bounded(entry.at + RING, entry.at > Date.now() ? Date.now() + RING : 0) })
    else if (entry.kind === 'ring_over') quiet(call)
    soon()
  }

  // ── One call ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async function get(id: string): Promise<CallView> {
    return (await api()).get(id)
  }

  /** Tells each state of a call from now on, until the answer is called. `refused`: one may not look at it any more. */
  function follow(id: string, tell: (call: CallView) => void, refused: () => void = () => undefined): () => void {
    const handle = connection.channel(`call:${id}`)
    let over = false
    let asked = 0
    async function look(): Promise<void> {
      const mine = ++asked
      try {
        const fresh = await get(id)
        if (!over && mine === asked) tell(fresh)
      } catch (error) {
        // put out of the conversation; without a connection the next entry, or the next connection, tells more
        if (!over && mine === asked && ['not_found', 'forbidden'].includes(faultCode(error))) refused()
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

  /** In a call nobody waits long for a socket: as long as there is none it is tried every second, if the server does not ask for patience. */
  function heed(tell: (online: boolean) => void): () => void {
    let hurrying: ReturnType<typeof setInterval> | undefined
    const stop = watch(
      () => connection.online,
      (online) => {
        clearInterval(hurrying)
        if (!online) hurrying = setInterval(() => connection.wake(), HURRY)
        tell(online)
      },
      { immediate: true, flush: 'sync' },
    )
    return () => {
      clearInterval(hurrying)
      stop()
    }
  }

  /** Joins with what is wished for: from here on devices are opened. Another call of this window is left. */
  async function enter(call: CallView, wishes: Wishes): Promise<void> {
    quietEverywhere(call.id)
    const { openRoom } = await import('../calls/room')
    const opened = openRoom(call, wishes, {
      me: session.me?.id ?? '',
      follow,
      heed,
      channel: (id) => connection.channel(`call:${id}`),
      changed: (now) => void (current.value = room.value === opened ? now : current.value),
      closed: () => room.value === opened && left(),
    })
    room.value = opened
    current.value = call
    // One sign-in has one seat: another window that sits on it lets go, without leaving the call.
    windows?.tell('entered', call.id)
  }

  function left(): void {
    room.value = null
    current.value = null
    soon()
  }

  async function join(id: string, wishes: Wishes): Promise<CallView> {
    await room.value?.leave() // nobody is in two calls
    await import('../calls/room') // a seat is not taken before there is something to sit on
    const call = await (await api()).accept(id)
    await enter(call, wishes)
    return call
  }

  /** Calls the others of a conversation, or joins the call that goes on there. */
  async function start(conversation: string, { video, pledge }: { video: boolean; pledge: string | null }, wishes: Wishes): Promise<CallView> {
    const key = crypto.randomUUID().replaceAll('-', '')
    await room.value?.leave()
    await import('../calls/room') // nobody is rung before there is something to sit on
    const made = await (await api()).start({ conversation, video, pledge, key })
    // Everybody whom it was for is in another call: it is over already.
    if (made.state === 'ended') return made
    const inside = made.seats.some((seat) => seat.person === session.me?.id && seat.here && seat.state === 'joined')
    if (!inside) return join(made.id, wishes)
    await enter(made, wishes)
    return made
  }

  async function decline(id: string): Promise<void> {
    await (await api()).decline(id)
    quietEverywhere(id)
    soon()
  }

  // ── The sign-in ───────────────────────────────────────────────────────────────────────────────────────────────────

  function begin(): void {
    windows ??= windowsOf(me.value, ({ t, call }) => {
      if (t === 'quiet') quiet(call)
      else if (t === 'hushed') hush([call])
      else if (room.value?.call.value.id === call) room.value.close()
    })
    void load()
  }

  function stale(): void {
    void load()
  }

  function clear(): void {
    turn += 1
    if (again !== null) clearTimeout(again)
    again = null
    windows?.close()
    windows = null
    room.value?.close()
    room.value = null
    current.value = null
    rings.value = []
    hushed.value = new Set()
    list.value = null
    more.value = false
    fault.value = null
  }

  return { me, rings, hushed, current, room, list, more, fault, runningIn, load, loadMore, told, get, follow, join, start, decline, silence, begin, stale, clear }
})
