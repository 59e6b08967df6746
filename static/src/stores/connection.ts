/** The one realtime connection of the person who is signed in, as the pages see it. */

import { createRealtime, type ChannelHandle, type Entry, type Realtime, type State, type StateInfo } from '@vouch/realtime'
import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'

/** What the other stores want to hear. */
export interface ConnectionNews {
  /** An entry of the own inbox: something changed, look again. */
  inbox(entry: Entry): void
  /** The inbox cannot tell what was missed: load everything again. */
  stale(): void
  /** The connection is over for good, by this close code. */
  ended(closeCode: number | undefined): void
}

/** Milliseconds that a lost connection may need to come back before anybody is told. */
const GRACE = 1_500

export const useConnection = defineStore('connection', () => {
  const state = ref<State>('idle')
  const info = shallowRef<StateInfo>({})
  /** Unsent messages of all conversations, without failed ones. */
  const waiting = ref(0)
  /** Not connected, for longer than a blink. */
  const troubled = ref(false)
  let client: Realtime | null = null
  let grace: ReturnType<typeof setTimeout> | undefined

  const online = computed(() => state.value === 'online')

  function calm(): void {
    clearTimeout(grace)
    grace = undefined
  }

  function watchTrouble(): void {
    if (state.value === 'online' || state.value === 'idle') {
      calm()
      troubled.value = false
    } else if (state.value === 'ended' || !navigator.onLine) troubled.value = true
    // Counted from its loss: tries in between, however often, make it no younger.
    else if (!troubled.value) grace ??= setTimeout(() => (troubled.value = true), GRACE)
  }

  /** `epoch` belongs to the numbers that this device remembers. */
  function start(person: string, epoch: string | null, news: ConnectionNews): void {
    const fresh = createRealtime({ person, url: '/api/v1/socket', epoch: epoch ?? undefined })
    client = fresh
    fresh.on('state', (next, more) => {
      if (client !== fresh) return
      state.value = next
      info.value = more
      watchTrouble()
      if (next === 'ended') news.ended(more.closeCode)
    })
    fresh.on('pending', (count) => (waiting.value = count))
    fresh.on('inbox', (entry) => news.inbox(entry))
    fresh.on('stale', () => news.stale())
    fresh.on('fault', (what, detail) => {
      // Refused is, for example, a read position that came after one has left the group.
      if (what !== 'refused') console.warn('realtime:', what, detail)
    })
    waiting.value = fresh.pendingCount
    fresh.connect()
  }

  /** Ends it. With `erase` also everything unsent that is stored for this person. */
  async function stop(erase: boolean): Promise<void> {
    const old = client
    client = null
    calm()
    state.value = 'idle'
    troubled.value = false
    waiting.value = 0
    if (erase) await old?.forget()
    else old?.close()
  }

  function channel(ch: string): ChannelHandle {
    if (!client) throw new Error('the connection has not been started')
    return client.channel(ch)
  }

  function retry(id: string): void {
    client?.retry(id)
  }

  function discard(id: string): void {
    client?.discard(id)
  }

  /** Null until the server has told it. */
  function epoch(): string | null {
    return client?.epoch ?? null
  }

  function wake(): void {
    client?.wake()
  }

  return { state, info, waiting, troubled, online, start, stop, channel, retry, discard, epoch, wake }
})
