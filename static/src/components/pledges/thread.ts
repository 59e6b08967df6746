/** The thread of one pledge, live: what the log says, and one's own words that are still on their way. */

import type { ChannelHandle, ChannelInfo, Media, Pending } from '@vouch/realtime'
import { computed, onBeforeUnmount, ref, shallowRef, watch, type ComputedRef, type Ref, type ShallowRef } from 'vue'

import type { Snapshot } from '../../chat/timeline'
import { useConnection } from '../../stores/connection'
import { useTimelines } from '../../stores/timelines'

/** Entries of the first page. */
const PAGE = 60

export interface Thread {
  readonly snapshot: ComputedRef<Snapshot>
  readonly state: ComputedRef<'loading' | 'ready' | 'failed'>
  readonly fault: ComputedRef<unknown>
  /** Whether earlier ones may be there, and whether they are being loaded. */
  readonly more: ComputedRef<boolean>
  readonly loading: ComputedRef<boolean>
  readonly info: ShallowRef<ChannelInfo | null>
  /** One may not read it any more. */
  readonly closed: Ref<boolean>
  readonly pending: ShallowRef<readonly Pending[]>
  earlier(): void
  retry(): void
  say(text: string, media: readonly Media[]): void
  erase(seq: number): void
  again(id: string): void
  /** Asks once more after one might not read it. */
  reopen(): void
  discard(id: string): void
}

export function useThread(pledge: () => string): Thread {
  const connection = useConnection()
  const timelines = useTimelines()
  const info: ShallowRef<ChannelInfo | null> = shallowRef(null)
  const pending: ShallowRef<readonly Pending[]> = shallowRef([])
  const closed = ref(false)
  let handle: ChannelHandle | null = null

  function end(): void {
    handle?.release()
    handle = null
  }

  function begin(id: string): void {
    end()
    info.value = null
    closed.value = false
    let asked = false
    const fresh = connection.channel(`pledge:${id}`)
    handle = fresh
    fresh.on('entry', (entry) => {
      timelines.entry(id, entry)
      if (document.visibilityState === 'visible') fresh.position({ read: entry.seq, delivered: entry.seq })
    })
    fresh.on('reset', () => timelines.reset(id))
    fresh.on('info', (now) => {
      info.value = now
      closed.value = false
      if (asked) return
      asked = true // not before it is live: so nothing is lost between the page and the first entry
      if (timelines.get(id).state === 'ready') timelines.drop(id)
      void timelines.open(id, (range) => fresh.history(range), PAGE)
    })
    fresh.on('pending', (all) => (pending.value = all))
    fresh.on('dropped', () => (closed.value = true))
    pending.value = fresh.pending
    fresh.open()
  }

  watch(pledge, begin, { immediate: true })
  onBeforeUnmount(end)

  const timeline = computed(() => timelines.get(pledge()))
  return {
    snapshot: computed(() => timeline.value.snapshot),
    state: computed(() => timeline.value.state),
    fault: computed(() => timeline.value.fault),
    more: computed(() => timeline.value.state === 'ready' && timeline.value.snapshot.low > 1),
    loading: computed(() => timeline.value.earlier === 'loading'),
    info,
    closed,
    pending,
    earlier: () => void timelines.loadEarlier(pledge(), 1),
    retry: () => void timelines.retry(pledge()),
    say: (text, media) => void handle?.send('message', media.length ? { text, media } : { text }),
    erase: (seq) => void handle?.send('delete', {}, seq),
    reopen: () => begin(pledge()),
    again: (id) => connection.retry(id),
    discard: (id) => connection.discard(id),
  }
}
