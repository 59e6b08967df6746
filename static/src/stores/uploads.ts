/**
 * Messages whose pictures, voices, videos and files are on their way. Each is a parcel: it is kept on the device, shown
 * in the timeline at once, carried to the server thing by thing, and then handed to the outbox under the id it has had
 * from the beginning, so that it becomes one message however often that is repeated.
 */

import type { Pending } from '@vouch/realtime'
import { defineStore } from 'pinia'
import { shallowReactive, shallowRef, watch } from 'vue'

import { api, newKey } from '../api'
import { Fault, faultCode } from '../api/fault'
import type { UploadLimits } from '../api/types'
import { carry, type Counter, type Surroundings } from '../chat/courier'
import { isMoving, isReady, isStuck, parcelOf, pendingOf, restored, stored, withThing, type Parcel, type Thing } from '../chat/parcel'
import { again, courseOf, type Course } from '../chat/upload'
import { openParcelShelf, type ParcelShelf } from '../media/parcel-shelf'
import { claimParcel } from '../media/parcel-claim'
import type { Pick } from '../media/picks'
import { Slots } from '../media/slots'
import { useConnection } from './connection'
import { useConversations, type NewMessage } from './conversations'
import { useSession } from './session'

/** So many files travel at once. */
const AT_ONCE = 3
/** Own pictures that go on being shown from this device after they were sent. */
const PREVIEWS_KEPT = 60

const NONE: readonly Pending[] = []

export const useUploads = defineStore('uploads', () => {
  const session = useSession()
  const connection = useConnection()
  const conversations = useConversations()

  /** In the order of writing. */
  const parcels = shallowReactive(new Map<string, Parcel>())
  /** The rows of each conversation: renewed when a parcel comes, goes or changes its state, not with each byte. */
  const rows = shallowReactive(new Map<string, readonly Pending[]>())
  const limits = shallowRef<UploadLimits | null>(null)
  /** Object URLs by the name of a thing on this device, and by its id on the server. */
  const previews = shallowReactive(new Map<string, string>())
  const sentPreviews: string[] = []
  const files = new Map<string, Blob>()
  const owners = new Map<string, string>()
  const under = new Map<string, AbortController>()
  const claims = new Map<string, () => void>()
  /** Parcels that live as long as the page: there was no room for them on the device. */
  const homeless = new Set<string>()
  const wakers = new Set<() => void>()
  const slots = new Slots(AT_ONCE)
  let shelf: ParcelShelf | null = null
  let life = new AbortController()

  // ── What is seen ──────────────────────────────────────────────────────────────────────────────────────────────────

  function refresh(conversation: string): void {
    const before = rows.get(conversation) ?? NONE
    const after = [...parcels.values()].filter((parcel) => parcel.conversation === conversation).map((parcel) => pendingOf(parcel, connection.online))
    const same = (a: Pending, b: Pending | undefined): boolean =>
      a.id === b?.id && a.state === b.state && (a.body['media'] as unknown[]).length === (b.body['media'] as unknown[]).length
    if (before.length === after.length && after.every((row, at) => same(row, before[at]))) return
    if (after.length > 0) rows.set(conversation, after)
    else rows.delete(conversation)
  }

  function put(parcel: Parcel): void {
    parcels.set(parcel.id, parcel)
    for (const { id } of parcel.things) owners.set(id, parcel.id)
    refresh(parcel.conversation)
  }

  function forget(parcel: Parcel, urls: boolean): void {
    parcels.delete(parcel.id)
    homeless.delete(parcel.id)
    for (const { id } of parcel.things) {
      owners.delete(id)
      files.delete(id)
      const url = previews.get(id)
      previews.delete(id)
      if (urls && url !== undefined) URL.revokeObjectURL(url)
    }
    refresh(parcel.conversation)
  }

  function showSent(media: string, url: string): void {
    previews.set(media, url)
    sentPreviews.push(media)
    for (const oldest of sentPreviews.splice(0, Math.max(0, sentPreviews.length - PREVIEWS_KEPT))) {
      URL.revokeObjectURL(previews.get(oldest) ?? '')
      previews.delete(oldest)
    }
  }

  function thing(id: string): Thing | null {
    return parcels.get(owners.get(id) ?? '')?.things.find((each) => each.id === id) ?? null
  }

  // ── On their way ──────────────────────────────────────────────────────────────────────────────────────────────────

  function rest(milliseconds: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const end = (woken: boolean): void => {
        clearTimeout(timer)
        wakers.delete(wake)
        signal.removeEventListener('abort', stop)
        resolve(woken)
      }
      const wake = (): void => end(true)
      const stop = (): void => {
        end(false)
        reject(signal.reason as Error)
      }
      // Without a network only its return is reason to try.
      const timer = setTimeout(() => (navigator.onLine ? end(false) : undefined), milliseconds)
      wakers.add(wake)
      signal.addEventListener('abort', stop)
    })
  }

  const around: Surroundings = {
    now: () => performance.now(),
    random: () => Math.random(),
    rest,
    trouble: (error) => ({
      code: faultCode(error),
      message: error instanceof Error ? error.message : '',
      retryAfter: error instanceof Fault ? error.retryAfter : null,
    }),
  }

  function counterFor(parcel: Parcel, { kind, name, size }: Thing): Counter {
    return {
      async create(signal) {
        const made = await api.createUpload({ conversation: parcel.conversation, kind, name, size })
        if (signal.aborted) void api.dropUpload(made.id).catch(() => undefined) // cancelled while it was asked for
        return made
      },
      ask: (upload) => api.upload(upload),
      send: (upload, from, piece, moved, signal) => api.sendPiece(upload, from, piece, moved, signal),
    }
  }

  function told(parcel: string, id: string, course: Course, moved: number): void {
    const known = parcels.get(parcel)
    const before = known?.things.find((each) => each.id === id)
    if (!known || !before) return
    const next = withThing(known, id, (each) => ({ ...each, course, moved }))
    put(next)
    if (before.course.upload !== course.upload || before.course.phase !== course.phase) void shelf?.change(stored(next)).catch(() => undefined)
  }

  async function carryThing(parcel: string, id: string): Promise<void> {
    const start = thing(id)
    const owner = parcels.get(parcel)
    const file = files.get(id)
    if (!start || !owner || under.has(id)) return
    if (!file) {
      told(parcel, id, { ...start.course, phase: 'failed', fault: { code: 'lost', message: '' } }, 0)
      return
    }
    const cancel = new AbortController()
    const signal = AbortSignal.any([cancel.signal, life.signal])
    under.set(id, cancel)
    try {
      await slots.run(() => carry(start.course, file, counterFor(owner, start), around, signal, (course, moved) => told(parcel, id, course, moved)), signal)
    } catch (error) {
      if (!signal.aborted) throw error
      return
    } finally {
      if (under.get(id) === cancel) under.delete(id)
    }
    const now = parcels.get(parcel)
    if (now && isReady(now)) await handOver(now)
  }

  function start(parcel: Parcel): void {
    for (const { id, course } of parcel.things) if (course.phase !== 'ready') void carryThing(parcel.id, id)
    if (isReady(parcel)) void handOver(parcel)
  }

  /** From here on it is a message like others: the outbox sends it. */
  async function handOver(parcel: Parcel): Promise<void> {
    const signal = life.signal
    const media = parcel.things.flatMap(({ course }) => (course.media ? [course.media] : []))
    const acknowledged = connection.channel(parcel.ch).append('message', { ...parcel.body, media }, parcel.ref, parcel.id)
    parcel.things.forEach(({ id, course }) => {
      const url = previews.get(id)
      if (course.media && url !== undefined) showSent(course.media.id, url)
    })
    forget(parcel, false)
    try {
      await acknowledged
    } catch {
      // Kept in the outbox with its reason; or the page ends, and the next one hands it over again.
    }
    if (signal.aborted) return
    await shelf?.remove(parcel.id).catch(() => undefined)
    claims.get(parcel.id)?.()
    claims.delete(parcel.id)
  }

  // ── What the person does ──────────────────────────────────────────────────────────────────────────────────────────

  /** `body`: the message without its media. */
  async function send(conversation: string, body: Readonly<Record<string, unknown>>, picks: readonly Pick[], ref: number | null): Promise<void> {
    const ch = conversations.byId.get(conversation)?.ch
    if (ch === undefined || picks.length === 0) return
    const parcel = parcelOf({ id: newKey(), conversation, ch, body, ref, at: Date.now() }, picks.map(({ chosen }) => chosen))
    for (const { chosen, file, preview } of picks) {
      files.set(chosen.id, file)
      if (preview !== null) previews.set(chosen.id, preview)
    }
    put(parcel)
    claims.set(parcel.id, (await claimParcel(parcel.id)) ?? (() => undefined))
    const kept = await shelf?.keep(stored(parcel), new Map(picks.map(({ chosen, file }) => [chosen.id, file])))
    if (kept !== true && parcels.has(parcel.id)) homeless.add(parcel.id)
    if (parcels.has(parcel.id)) start(parcel)
  }

  /** A message with what was chosen, or with nothing. */
  function say(conversation: string, message: NewMessage, picks: readonly Pick[]): void {
    const { ref = null, ...body } = message
    if (picks.length === 0) conversations.say(conversation, message)
    else void send(conversation, body, picks, ref)
  }

  function retry(id: string): void {
    const known = parcels.get(id)
    if (!known) return
    const next = { ...known, things: known.things.map((each) => ({ ...each, course: again(each.course), moved: 0 })) }
    put(next)
    start(next)
  }

  function stopThing({ id, course }: Thing): void {
    under.get(id)?.abort()
    under.delete(id)
    if (course.upload !== null) void api.dropUpload(course.upload).catch(() => undefined) // the server drops it by itself in time
  }

  async function cancel(id: string): Promise<void> {
    const known = parcels.get(id)
    if (!known) return
    known.things.forEach(stopThing)
    forget(known, true)
    await shelf?.remove(id).catch(() => undefined)
    claims.get(id)?.()
    claims.delete(id)
  }

  /** Sends the rest without this one. */
  async function leaveOut(id: string): Promise<void> {
    const known = parcels.get(owners.get(id) ?? '')
    const left = known?.things.find((each) => each.id === id)
    if (!known || !left) return
    const next = { ...known, things: known.things.filter((each) => each !== left) }
    if (next.things.length === 0 && !next.body['text']) return cancel(known.id)
    stopThing(left)
    owners.delete(id)
    files.delete(id)
    put(next)
    await shelf?.change(stored(next)).catch(() => undefined)
    if (isReady(next)) await handOver(next)
  }

  /** What cannot be shown may still be sent as it is. */
  async function sendAsFile(id: string): Promise<void> {
    const known = parcels.get(owners.get(id) ?? '')
    const refused = known?.things.find((each) => each.id === id)
    if (!known || !refused) return
    stopThing(refused)
    const next = withThing(known, id, (each) => ({ ...each, kind: 'file', course: courseOf(each.size), moved: 0 }))
    rows.delete(known.conversation) // its row looks different, though nothing of its state is
    put(next)
    await shelf?.change(stored(next)).catch(() => undefined)
    void carryThing(known.id, id)
  }

  async function needLimits(): Promise<UploadLimits | null> {
    try {
      limits.value ??= await api.uploadLimits()
    } catch {
      // without them the server says what is too large, only later
    }
    return limits.value
  }

  // ── The life of a sign-in ─────────────────────────────────────────────────────────────────────────────────────────

  /** Takes over what earlier pages left behind, and what other tabs leave when they close. */
  async function adopt(): Promise<void> {
    const from = shelf
    const signal = life.signal
    if (!from) return
    const left = await from.load().catch(() => [])
    for (const each of left.sort((a, b) => a.at - b.at)) {
      if (parcels.has(each.id) || claims.has(each.id)) continue
      const free = await claimParcel(each.id)
      if (!free) continue
      if (signal.aborted || claims.has(each.id) || !(await from.has(each.id).catch(() => false))) {
        free()
        continue
      }
      claims.set(each.id, free)
      for (const { id, kind } of each.things) {
        const file = await from.file(id).catch(() => null)
        if (!file) continue
        files.set(id, file)
        if (kind === 'picture' || kind === 'voice') previews.set(id, URL.createObjectURL(file))
      }
      if (signal.aborted) return
      const parcel = restored(each)
      put(parcel)
      start(parcel)
    }
  }

  function wake(): void {
    for (const each of [...wakers]) each()
  }

  function onVisible(): void {
    if (document.visibilityState === 'visible') void adopt()
  }

  function warn(event: BeforeUnloadEvent): void {
    if ([...homeless].some((id) => parcels.has(id))) event.preventDefault()
  }

  watch(
    () => connection.online,
    (online) => {
      for (const conversation of [...rows.keys()]) refresh(conversation)
      if (online) wake()
    },
  )

  function begin(): void {
    if (!session.me) return
    life = new AbortController()
    shelf = typeof indexedDB === 'undefined' ? null : openParcelShelf(session.me.id)
    window.addEventListener('online', wake)
    window.addEventListener('beforeunload', warn)
    document.addEventListener('visibilitychange', onVisible)
    void adopt()
  }

  /** With `erase` nothing stays on the device. */
  async function end(erase: boolean): Promise<void> {
    life.abort()
    window.removeEventListener('online', wake)
    window.removeEventListener('beforeunload', warn)
    document.removeEventListener('visibilitychange', onVisible)
    for (const parcel of [...parcels.values()]) forget(parcel, true)
    for (const media of sentPreviews.splice(0)) URL.revokeObjectURL(previews.get(media) ?? '')
    for (const free of claims.values()) free()
    claims.clear()
    previews.clear()
    files.clear()
    under.clear()
    limits.value = null
    const old = shelf
    shelf = null
    if (erase) await old?.erase().catch(() => undefined)
  }

  return {
    parcels,
    limits,
    thing,
    say,
    retry,
    cancel,
    leaveOut,
    sendAsFile,
    needLimits,
    begin,
    end,
    has: (id: string) => parcels.has(id),
    isStuck: (id: string) => isStuckIn(parcels.get(id)),
    /** Everything unsent of a conversation: what waits in the outbox, and what is still being carried. */
    pendingIn: (conversation: string) => {
      const carried = rows.get(conversation)
      const waiting = conversations.pendingIn(conversation)
      return carried ? [...waiting, ...carried] : waiting
    },
    previewOf: (id: string) => previews.get(id) ?? null,
  }
})

function isStuckIn(parcel: Parcel | undefined): boolean {
  return parcel !== undefined && isStuck(parcel) && !isMoving(parcel)
}
