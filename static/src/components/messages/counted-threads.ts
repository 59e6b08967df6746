/** Around a message that somebody went to, the answers to what is shown may lie in what is not loaded: the server counts them. */

import { shallowRef, watch, type ShallowRef } from 'vue'

import { api } from '../../api'
import type { Replies } from '../../chat/threads'
import type { Timeline } from '../../stores/timelines'

/** As many numbers as one request may span. */
const SPAN = 500

export function useCountedThreads(id: string, timeline: () => Timeline): Readonly<ShallowRef<ReadonlyMap<number, Replies> | undefined>> {
  const counted = shallowRef<ReadonlyMap<number, Replies>>()
  let round = 0

  watch(
    () => {
      const { later, snapshot } = timeline()
      return later === 'none' ? '' : `${snapshot.low}-${snapshot.high}`
    },
    async (span) => {
      const own = (round += 1)
      counted.value = undefined
      if (span === '') return
      const { low, high } = timeline().snapshot
      try {
        const { threads } = await api.threads(id, Math.max(1, low, high - SPAN + 1), high)
        if (own !== round) return
        counted.value = new Map(threads.map(({ root, replies, people, last_at }) => [root, { count: replies, people, at: last_at }]))
      } catch {
        // What is loaded is counted all the same.
      }
    },
    { immediate: true },
  )
  return counted
}
