/** The call that this window is in: joins what one shows, what one sees and what the server says of it. Lives as long as the call, whichever page is shown. */

import { computed, effectScope, ref, shallowReactive, shallowRef, watch } from 'vue'

import { faultCode } from '../api/fault'
import { api } from './api'
import { Timers } from './clock'
import { Connecting, type LinkState } from './connecting'
import { iceKnown } from './ice'
import { Publisher } from './publisher'
import { Lines, lossOf, qualityFrom } from './quality'
import { openShowing, type Showing } from './showing'
import type { Qualities, Room, Surroundings } from './standing'
import type { CallView, ChangeSeat, Looked, Phase, Wishes } from './types'
import { keyOf, Watcher } from './watcher'

export type { Room } from './standing'

const INSIDE: ReadonlySet<string> = new Set(['joined', 'away'])
/** Milliseconds: how often it is looked who speaks; in which changes of what one looks at are told once. */
const SPEAKING = 250
const GATHER = 120
/** A connection that has stood for so long will not tell of what was before it. Clocks may differ by so much. */
const SETTLED = 15_000
const SKEW = 30_000
/** Whoever was cut off for longer than this comes back only by pressing for it. */
const LONG = 5 * 60_000
/** How often one's own line is looked at. */
const LOOK = 2_000
/** A faulty request is asked again after so long. */
const AGAIN = 2_000

const newKey = (): string => crypto.randomUUID().replaceAll('-', '')

export function openRoom(first: CallView, wishes: Wishes, around: Surroundings): Room {
  const { me } = around
  const { id } = first
  const scope = effectScope(true)
  const call = shallowRef(first)
  const speaking = shallowRef<ReadonlySet<string>>(new Set())
  const qualities: Qualities = shallowReactive(new Map())
  const taken = shallowRef<{ by: string } | null>(null)
  const states = shallowReactive({ publish: 'connecting' as LinkState, watch: 'connecting' as LinkState })
  const everLive = ref(false)
  const watcher = shallowRef<Watcher | null>(null)
  let looked: readonly Looked[] = []
  let over = false
  /** One has said that one leaves: nothing more is told, and nothing brings one back. */
  let leaving = false

  const timers = new Timers()
  const later = timers.later.bind(timers)

  const ownSeat = (of: CallView) => of.seats.find((seat) => seat.person === me)

  // ── What one shows ──

  const own = scope.run(() =>
    openShowing({
      link: () => publisher.link,
      over: () => over,
      told: () => later('tell', 0, () => void tell()),
    }),
  ) as Showing

  let said: ChangeSeat = {}
  /** What is being said, and not answered yet. */
  const telling = new WeakSet<ChangeSeat>()
  const changed = (now: ChangeSeat): ChangeSeat => Object.fromEntries(Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(said[name as keyof ChangeSeat])))
  /** The seat says what one shows; said again until the server has heard it. One word after the other: of two under way the older could be heard last. */
  async function tell(): Promise<void> {
    if (over || leaving || telling.has(said)) return
    const now: ChangeSeat = { ...own.shown(), watching: watched() }
    const change = changed(now)
    if (Object.keys(change).length === 0) return
    const before = said
    said = now
    telling.add(now)
    try {
      take(await api.seat(id, change))
    } catch (error) {
      if (said === now) said = before
      if (!gone(error)) later('tell', AGAIN, () => void tell())
      return
    } finally {
      telling.delete(now)
    }
    void tell()
  }

  // ── What one sees ──

  const others = computed(() => call.value.seats.filter((seat) => seat.person !== me && INSIDE.has(seat.state)))
  /** Those whose pictures one looks at. */
  const watched = (): string[] => {
    const inside = new Set(others.value.filter((seat) => seat.camera || seat.screen).map((seat) => seat.person))
    return [...new Set(looked.map((each) => each.person))].filter((person) => inside.has(person)).toSorted()
  }
  let viewed = ''
  /** The connection of which something is being asked for; as with `tell`, one after the other. */
  let viewing = ''

  async function sendView(): Promise<void> {
    const [link, connection] = [watching.link, watching.id]
    if (over || leaving || !link || !connection || viewing === connection) return
    if (link.narrowFor(others.value.length)) {
      watching.begin()
      return
    }
    const shown = new Map(others.value.map((seat) => [seat.person, seat]))
    const slots = link.want(
      others.value,
      looked.filter(({ person, track }) => (track === 'screen' ? shown.get(person)?.screen : shown.get(person)?.camera)),
    )
    const text = JSON.stringify([connection, slots])
    if (text === viewed) return
    viewed = text
    viewing = connection
    try {
      await api.view(id, connection, slots)
    } catch (error) {
      viewed = ''
      if (!gone(error)) later('view', AGAIN, () => void sendView())
      return
    } finally {
      if (viewing === connection) viewing = ''
    }
    void sendView()
  }

  function look(at: readonly Looked[]): void {
    looked = at
    later('view', GATHER, () => void sendView())
    later('tell', GATHER, () => void tell())
  }

  // ── The connections ──

  const iceServers = iceKnown()

  async function connect(direction: 'publish' | 'watch', offer: string): Promise<{ id: string; answer: string }> {
    try {
      const made = await api.connect(id, direction, offer, call.value.epoch)
      return made
    } catch (error) {
      if (faultCode(error) === 'stale') await refresh()
      else gone(error)
      throw error
    }
  }

  const publisher = new Connecting<Publisher>({
    make: async () => new Publisher(await iceServers()),
    connect: (offer) => connect('publish', offer),
    up: () => own.put(),
    state: (state) => void (states.publish = state),
  })
  const watching = new Connecting<Watcher>({
    make: async () => new Watcher(await iceServers(), others.value.length),
    connect: (offer) => connect('watch', offer),
    async up(link) {
      watcher.value = link
      viewed = ''
      await sendView()
    },
    state: (state) => void (states.watch = state),
  })

  const phase = computed<Phase>(() => {
    if (states.publish === 'live' && states.watch === 'live') return 'live'
    if (states.publish === 'failed' || states.watch === 'failed') return 'failed'
    return everLive.value || states.publish === 'lost' || states.watch === 'lost' ? 'reconnecting' : 'connecting'
  })
  scope.run(() => watch(phase, (now) => (everLive.value ||= now === 'live')))

  // ── What the server says ──

  /** Whether the answer means that one is not in the call any more here: then everything is let go of. */
  function gone(error: unknown): boolean {
    const code = faultCode(error)
    if (code === 'not_found' || code === 'forbidden' || code === 'conflict') {
      void refresh()
      return code !== 'conflict'
    }
    return false
  }

  async function refresh(): Promise<void> {
    try {
      take(await api.get(id))
    } catch (error) {
      if (faultCode(error) === 'not_found' || faultCode(error) === 'forbidden') close()
    }
  }

  function take(fresh: CallView): void {
    if (over || fresh.version < call.value.version) return
    const before = call.value
    call.value = fresh
    around.changed(fresh)
    const seat = ownSeat(fresh)
    if (!leaving && fresh.state !== 'ended' && seat?.state === 'left' && cutOff !== null && seat.since >= cutOff && fresh.can.includes('join')) {
      void rejoin()
      return
    }
    if (fresh.state === 'ended' || !seat || !INSIDE.has(seat.state) || !seat.here) {
      close()
      return
    }
    if (fresh.epoch !== before.epoch) {
      publisher.begin()
      watching.begin()
    }
    later('view', GATHER, () => void sendView())
  }

  // Without a socket for so long that the server has given the seat up: one has not left, so one comes back.
  let cutOff: number | null = null
  let coming = false
  async function rejoin(): Promise<void> {
    if (coming || over) return
    // A device that has slept for long shows nobody's room without being asked.
    if (cutOff !== null && Date.now() - cutOff > LONG) {
      close()
      return
    }
    coming = true
    try {
      take(await api.accept(id))
      said = {}
      publisher.begin()
      watching.begin()
      later('tell', 0, () => void tell())
    } catch {
      close()
    } finally {
      coming = false
      cutOff = null
    }
  }
  const unheed = around.heed((online) => {
    if (!online) {
      timers.forget('cut')
      cutOff ??= Date.now() - SKEW
    } else {
      publisher.hurry()
      watching.hurry()
      later('cut', SETTLED, () => (cutOff = null))
    }
  })

  const unfollow = around.follow(id, take, () => close())
  const signals = around.channel(id)
  signals.on('signal', (signal) => {
    const person = signal.body['person']
    if (signal.kind === 'line' && typeof person === 'string' && typeof signal.body['loss'] === 'number') {
      lines.tell(person, 'down', signal.body['loss'], Date.now())
      measure()
    }
    if (signal.kind === 'snapshot' && person === me && typeof signal.body['by'] === 'string') taken.value = { by: signal.body['by'] }
  })
  signals.open()

  const lines = new Lines()
  function measure(): void {
    for (const person of lines.people()) {
      const loss = lines.loss(person, Date.now())
      if (loss === undefined) qualities.delete(person)
      else qualities.set(person, qualityFrom(loss, qualities.get(person)))
    }
  }
  const measuring = setInterval(async () => {
    const up = publisher.link ? lossOf(await publisher.link.report().catch(() => [])) : null
    if (up !== null) lines.tell(me, 'up', up, Date.now())
    if (!over) measure()
  }, LOOK)

  const looking = setInterval(() => {
    const now = watcher.value?.speaking() ?? new Set<string>()
    if (own.media.speaks.value) now.add(me)
    if (now.size !== speaking.value.size || [...now].some((each) => !speaking.value.has(each))) speaking.value = now
  }, SPEAKING)

  /** The page is left: everything goes out with it, whatever the browser keeps of the page. The seat waits for a reload. */
  const onHide = (): void => {
    if (!leaving) api.closing(id)
    close()
  }
  window.addEventListener('pagehide', onHide)
  const onOnline = (): void => {
    publisher.hurry()
    watching.hurry()
  }
  window.addEventListener('online', onOnline)

  function retry(): void {
    if (states.publish !== 'live') publisher.begin()
    if (states.watch !== 'live') watching.begin()
  }

  function close(): void {
    if (over) return
    over = true
    window.removeEventListener('pagehide', onHide)
    window.removeEventListener('online', onOnline)
    clearInterval(looking)
    clearInterval(measuring)
    unheed()
    timers.close()
    unfollow()
    signals.release()
    own.media.close()
    publisher.close()
    watching.close()
    watcher.value = null
    scope.stop()
    around.closed()
  }

  /** Devices go out at once, whatever becomes of the request. */
  async function quit(ask: () => Promise<CallView>): Promise<void> {
    leaving = true
    own.media.close()
    publisher.close()
    try {
      around.changed(await ask())
    } catch (error) {
      if (!['not_found', 'conflict', 'offline'].includes(faultCode(error))) throw error
    } finally {
      close()
    }
  }

  publisher.begin()
  watching.begin()
  // One is in it already; whatever cannot be opened is told, and can be tried again.
  void (async () => {
    if (wishes.voice) await own.setVoice(true).catch(() => undefined)
    if (wishes.camera) await own.show('camera', true).catch(() => undefined)
    later('tell', 0, () => void tell())
  })()

  return {
    call,
    phase,
    voice: own.voice,
    camera: own.camera,
    sharing: own.sharing,
    talking: own.talking,
    speaking,
    qualities,
    trouble: own.trouble,
    taken,
    streamOf(person, track) {
      if (person !== me) return watcher.value?.streams.get(keyOf(person, track)) ?? null
      return track === 'voice' ? null : own.stream(track)
    },
    look,
    setVoice: own.setVoice,
    setCamera: (on) => own.show('camera', on),
    setSharing: (on) => own.show('screen', on),
    talk: own.talk,
    retry,
    leave: () => quit(() => api.leave(id)),
    cancel: () => quit(() => api.cancel(id)),
    end: async () => take(await api.end(id)),
    remove: async (person) => take(await api.remove(id, person)),
    snapshot: async (person) => void (await api.snapshot(id, person, newKey())),
    askSnapshot: async (person) => take(await api.askSnapshot(id, person, newKey())),
    answerSnapshot: async (ask, yes) => take(await api.answerSnapshot(id, ask, yes)),
    record: async (on) => take(await api.record(id, on)),
    close,
  }
}
