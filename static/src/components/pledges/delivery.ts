/** Pictures and files that go with what one says of a pledge: chosen in a tray, and on the server before it is said. */

import type { Media } from '@vouch/realtime'
import { computed, onBeforeUnmount, ref, shallowRef, type ComputedRef, type ShallowRef } from 'vue'

import { api } from '../../api'
import { Fault, faultCode } from '../../api/fault'
import { carry, type Surroundings } from '../../chat/courier'
import { courseOf, shareOf } from '../../chat/upload'
import { reasonOf } from '../../media/reasons'
import type { ProofView } from '../../proofs/types'
import { useTrays } from '../../stores/trays'

/** One of them cannot be sent; the message is a sentence. */
export class Undelivered extends Error {
  override readonly name = 'Undelivered'
}

export interface Delivery {
  /** Where the tray keeps them. */
  readonly place: string
  readonly pledge: string
  /** Live photos: sealed already, and so on the server. */
  readonly live: ShallowRef<readonly ProofView[]>
  readonly count: ComputedRef<number>
  /** 0 … 1 while they are on their way, else null. */
  readonly share: ComputedRef<number | null>
  /** The ids under which the server knows them. Repeated after a fault it sends only what is missing. */
  send(): Promise<string[]>
  /** The same, with what a message says of each. */
  carry(): Promise<Media[]>
  /** Drops what was chosen. */
  clear(): void
}

function rest(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const end = (woken: boolean): void => {
      clearTimeout(timer)
      window.removeEventListener('online', wake)
      signal.removeEventListener('abort', stop)
      resolve(woken)
    }
    const wake = (): void => end(true)
    const stop = (): void => {
      end(false)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => end(false), milliseconds)
    window.addEventListener('online', wake)
    signal.addEventListener('abort', stop)
  })
}

const AROUND: Surroundings = {
  now: () => performance.now(),
  random: () => Math.random(),
  rest,
  trouble: (error) => ({ code: faultCode(error), message: error instanceof Error ? error.message : '', retryAfter: error instanceof Fault ? error.retryAfter : null }),
}

export function useDelivery(pledge: () => string, what: () => string): Delivery {
  const trays = useTrays()
  const life = new AbortController()
  /** What was chosen → what the server says of it. */
  const there = new Map<string, Media>()
  const sizes = ref(new Map<string, { readonly size: number; readonly moved: number }>())
  const sending = ref(false)
  const place = computed(() => `pledge.${pledge()}.${what()}`)
  const picks = computed(() => trays.of(place.value))
  const live = shallowRef<readonly ProofView[]>([])

  onBeforeUnmount(() => life.abort())

  async function sendOne(id: string, file: Blob, kind: 'file' | 'picture' | 'video' | 'voice', name: string): Promise<Media> {
    const known = there.get(id)
    if (known !== undefined) return known
    const counter = {
      create: () => api.createUpload({ pledge: pledge(), kind, name, size: file.size }),
      ask: (upload: string) => api.upload(upload),
      send: (upload: string, from: number, piece: Blob, moved: (bytes: number) => void, signal: AbortSignal) => api.sendPiece(upload, from, piece, moved, signal),
    }
    const course = await carry(courseOf(file.size), file, counter, AROUND, life.signal, (now, more) => sizes.value.set(id, { size: file.size, moved: shareOf(now, more) * file.size }))
    if (course.phase !== 'ready' || !course.media) throw new Undelivered(reasonOf(course.fault))
    there.set(id, course.media)
    return course.media
  }

  async function carryAll(): Promise<Media[]> {
    if (picks.value.length === 0) return []
    sending.value = true
    sizes.value = new Map(picks.value.map(({ chosen, file }) => [chosen.id, { size: file.size, moved: 0 }]))
    try {
      const sent: Media[] = []
      for (const { chosen, file } of picks.value) sent.push(await sendOne(chosen.id, file, chosen.kind, chosen.name))
      return sent
    } finally {
      sending.value = false
    }
  }

  return {
    get place() {
      return place.value
    },
    get pledge() {
      return pledge()
    },
    live,
    count: computed(() => picks.value.length + live.value.length),
    share: computed(() => {
      if (!sending.value) return null
      const all = [...sizes.value.values()]
      const whole = all.reduce((sum, { size }) => sum + size, 0)
      return whole === 0 ? 0 : all.reduce((sum, { moved }) => sum + moved, 0) / whole
    }),
    send: async () => [...live.value.flatMap(({ media }) => media ?? []), ...(await carryAll()).map((media) => media.id)],
    carry: carryAll,
    clear() {
      for (const { chosen } of trays.of(place.value)) trays.remove(place.value, chosen.id)
      there.clear()
      live.value = []
    },
  }
}
