/** The person's own inbox as a list of notices: who called them, answered them, asked to be friends. */

import type { ChannelHandle, Entry } from '@vouch/realtime'
import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'

import { dayOf } from '../times'
import { listed, noticeOf, type Notice } from '../notifications/centre'
import { useConnection } from './connection'
import { useSession } from './session'

/** Entries asked for at once; many of them say only that something must be loaded again. */
const PAGE = 100
/** As many notices one look should bring, and as many pages it asks for at most. */
const ENOUGH = 20
const PAGES = 5

export const useNotices = defineStore('notices', () => {
  const session = useSession()
  const connection = useConnection()

  const unread = ref(0)
  /** The number up to which everything was read when the list was opened last: what is above is new. Null: not known yet. */
  const readBefore = ref<number | null>(null)
  const loaded = ref(false)
  const loading = ref(false)
  const fault = ref<unknown>(null)
  /** Whether earlier ones may be there. */
  const more = ref(false)
  const notices = shallowRef<readonly Notice[]>([])
  const lines = computed(() => listed(notices.value, (at) => dayOf(at, { language: 'en', zone: session.zone })))
  let handle: ChannelHandle | null = null
  let oldest: number | null = null

  function take(entries: readonly Entry[]): number {
    const me = session.me?.id ?? ''
    const known = new Set(notices.value.map((each) => each.seq))
    const fresh = entries.map((entry) => noticeOf(entry, me)).filter((each): each is Notice => each !== null && !known.has(each.seq))
    if (fresh.length) notices.value = [...notices.value, ...fresh]
    return fresh.length
  }

  function forget(): void {
    notices.value = []
    oldest = null
    loaded.value = false
    more.value = false
  }

  function begin(): void {
    const me = session.me?.id
    if (!me) return
    handle = connection.channel(`inbox:${me}`)
    handle.on('info', (info) => {
      unread.value = Math.max(0, info.n - info.read_n)
      if (looking > 0) readBefore.value ??= info.read
    })
    handle.on('entry', (entry) => loaded.value && take([entry]))
    handle.on('reset', () => {
      forget()
      if (looking) void load()
    })
    handle.open()
  }

  /** The page before what is known. */
  async function load(): Promise<void> {
    const from = handle
    if (!from || loading.value) return
    loading.value = true
    fault.value = null
    try {
      let found = 0
      for (let page = 0; page < PAGES && found < ENOUGH; page += 1) {
        const got = await from.history(oldest === null ? { limit: PAGE } : { before: oldest, limit: PAGE })
        if (handle !== from) return
        found += take(got.entries)
        oldest = got.entries[0]?.seq ?? 1
        more.value = oldest > got.first
        if (!more.value) break
      }
      loaded.value = true
    } catch (error) {
      if (handle === from) fault.value = error
    } finally {
      if (handle === from) loading.value = false
    }
  }

  /** Somebody looks at the list, until the answer is called: all of it is read. */
  let looking = 0
  function look(): () => void {
    looking += 1
    readBefore.value = handle?.info?.read ?? null
    read()
    return () => (looking -= 1)
  }

  /** While somebody looks, what comes is read; what was new when they began stays marked. */
  function read(): void {
    const head = handle?.info?.head ?? 0
    if (looking > 0 && unread.value > 0 && document.visibilityState === 'visible') {
      handle?.position({ read: head, delivered: head })
      unread.value = 0
    }
  }

  function end(): void {
    handle?.release()
    handle = null
    forget()
    unread.value = 0
    loading.value = false
    fault.value = null
  }

  const isNew = (notice: Notice): boolean => readBefore.value !== null && notice.seq > readBefore.value

  return { unread, isNew, lines, loaded, loading, fault, more, begin, load, look, read, end }
})
