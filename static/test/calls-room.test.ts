/** A room without a browser: which devices are open when, what the server is told, and what becomes of it all when things go away. */

import type { ChannelHandle, SignalInfo } from '@vouch/realtime'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { Fault } from '../src/api/fault'
import { openRoom } from '../src/calls/room'
import type { Room, Surroundings } from '../src/calls/standing'
import type { CallView, SeatView, Wishes } from '../src/calls/types'
import { Connection, Stream, Track } from './pretended-media'

// ── The browser ──

/** What the browser answers to each question for a device: at once, or when the test says. */
let ask: (constraints: MediaStreamConstraints) => Promise<Stream>
const devices = (): Track[] => Track.all.filter((track) => track.readyState === 'live' && opened.has(track))
let opened: Set<Track>

// ── The server ──

const asked: { name: string; values: unknown[] }[] = []
let answers: Partial<Record<string, (...values: unknown[]) => unknown>>

vi.mock('../src/calls/api', () => ({
  api: new Proxy(
    {},
    {
      get:
        (_, name: string) =>
        async (...values: unknown[]) => {
          asked.push({ name, values })
          const answer = answers[name]
          if (!answer) throw new Fault('internal', name)
          return answer(...values)
        },
    },
  ),
}))

const count = (name: string): number => asked.filter((each) => each.name === name).length

function seat(person: string, more: Partial<SeatView> = {}): SeatView {
  return { person, state: 'joined', here: person === 'p_me', device: null, voice: false, camera: false, screen: false, watching: [], since: 0, agrees: false, picture: null, ...more }
}

function callOf(version: number, more: Partial<CallView> = {}): CallView {
  return { id: 'cl_1', conversation: 'c_1', title: '', by: 'p_me', at: 0, video: true, pledge: null, state: 'running', reason: null, answered: 0, ended: null, rings_until: null, version, epoch: 1, seats: [seat('p_me'), seat('p_bo', { voice: true, camera: true })], people: [], recording: { state: 'off' }, watched_by: [], supervisors: [], asks: [], can: ['leave'], ...more }
}

let tell: (call: CallView) => void
let putOut: () => void
let online: (up: boolean) => void
let signal: (signal: SignalInfo) => void
let closed: number
let version: number
let room: Room

function open(wishes: Wishes = { voice: false, camera: false }): Room {
  const around: Surroundings = {
    me: 'p_me',
    follow: (_, listener, refused) => ((tell = listener), (putOut = refused), () => undefined),
    heed: (listener) => ((online = listener), listener(true), () => undefined),
    channel: () => ({ on: (name: string, listener: never) => void (name === 'signal' && (signal = listener)), open: () => undefined, release: () => undefined }) as unknown as ChannelHandle,
    changed: () => undefined,
    closed: () => void (closed += 1),
  }
  return (room = openRoom(callOf(1), wishes, around))
}

const pass = (milliseconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds)

beforeEach(() => {
  vi.useFakeTimers()
  Track.all.length = 0
  Connection.all.length = 0
  asked.length = 0
  closed = 0
  version = 1
  opened = new Set()
  ask = ({ audio }) => Promise.resolve(new Stream([new Track(audio ? 'audio' : 'video')]))
  const device = async (constraints: MediaStreamConstraints): Promise<Stream> => {
    const stream = await ask(constraints)
    stream.tracks.forEach((track) => opened.add(track))
    return stream
  }
  answers = {
    ice: () => ({ servers: [], until: Date.now() + 3_600_000 }),
    connect: (_id, direction) => ({ id: `cx_${String(direction)}`, answer: 'answer', call: callOf(version) }),
    view: () => undefined,
    closing: () => undefined,
    seat: () => callOf((version += 1)),
    leave: () => callOf((version += 1), { seats: [seat('p_me', { state: 'left', here: false })] }),
    accept: () => callOf((version += 1)),
    get: () => callOf((version += 1)),
  }
  vi.stubGlobal('RTCPeerConnection', Connection)
  vi.stubGlobal('RTCRtpReceiver', {})
  vi.stubGlobal('MediaStream', Stream)
  vi.stubGlobal('AudioContext', undefined)
  vi.stubGlobal('navigator', { mediaDevices: { getUserMedia: device, getDisplayMedia: (constraints: MediaStreamConstraints) => device(constraints) } })
})

afterEach(() => {
  room?.close()
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

describe('devices', () => {
  it('are not opened by joining, unless that was wished for', async () => {
    open()
    await pass(1_000)
    expect(room.phase.value).toBe('live')
    expect(devices()).toEqual([])
    room.close()
    open({ voice: true, camera: false })
    await pass(1_000)
    expect(devices().map((track) => track.kind)).toEqual(['audio'])
    expect(room.voice.value).toBe(true)
    expect(asked.filter((each) => each.name === 'seat').at(-1)?.values[1]).toMatchObject({ voice: true })
  })

  it('keeps the microphone and sends silence while muted; a key that is held is heard', async () => {
    open({ voice: true, camera: false })
    await pass(500)
    const [microphone] = devices()
    await room.setVoice(false)
    expect([microphone?.readyState, microphone?.enabled]).toEqual(['live', false])
    expect(room.talk(true)).toBe(true)
    expect(microphone?.enabled).toBe(true)
    room.talk(false)
    expect(microphone?.enabled).toBe(false)
    await room.setVoice(true)
    expect(room.talk(true)).toBe(false)
    expect(devices()).toEqual([microphone])
  })

  it('lets go of the camera when it is turned off, and of the small picture with it', async () => {
    open({ voice: false, camera: true })
    await pass(500)
    const [publisher] = Connection.all.filter((each) => each.senders.length === 4)
    const sent = (): (string | undefined)[] => publisher?.senders.map((each) => each.track?.readyState) ?? []
    expect(sent()).toEqual([undefined, 'live', 'live', undefined])
    const before = publisher?.senders.map((each) => each.track)
    expect(before?.[1]).not.toBe(before?.[2])
    await room.setCamera(false)
    expect(before?.[1]?.readyState).toBe('ended')
    expect(before?.[2]?.readyState).toBe('ended')
    expect(sent()).toEqual([undefined, undefined, undefined, undefined])
    await room.setCamera(true)
    expect(sent()).toEqual([undefined, 'live', 'live', undefined])
    expect(Connection.all.filter((each) => each.senders.length === 4)).toHaveLength(1)
  })

  it('does not take a camera that the browser allows when it is not wanted any more', async () => {
    open()
    await pass(500)
    let allow: (stream: Stream) => void = () => undefined
    ask = () => new Promise((resolve) => (allow = resolve))
    const opening = room.setCamera(true)
    await room.setCamera(false)
    const late = new Track('video')
    allow(new Stream([late]))
    await opening
    expect(late.readyState).toBe('ended')
    expect(room.camera.value).toBe(false)
    const again = room.setCamera(true)
    room.close()
    const later = new Track('video')
    allow(new Stream([later]))
    await again
    expect(later.readyState).toBe('ended')
  })

  it('says in a stable word why one cannot be opened', async () => {
    open()
    await pass(500)
    ask = () => Promise.reject(new DOMException('no', 'NotAllowedError'))
    await expect(room.setCamera(true)).rejects.toMatchObject({ name: 'DeviceError', fault: 'refused' })
    expect(room.trouble.value).toEqual({ what: 'camera', fault: 'refused' })
    // Whoever closes the choice of a screen has changed their mind.
    await room.setSharing(true)
    expect(room.trouble.value).toBeNull()
    expect(room.sharing.value).toBe(false)
  })

  it('takes the next one when one is pulled out, and none when there is none', async () => {
    open({ voice: true, camera: true })
    await pass(500)
    devices().find((track) => track.kind === 'audio')?.vanish()
    await pass(10)
    expect(room.voice.value).toBe(true)
    expect(devices().filter((track) => track.kind === 'audio')).toHaveLength(1)
    expect(room.trouble.value).toEqual({ what: 'voice', fault: 'replaced' })
    ask = () => Promise.reject(new DOMException('gone', 'NotFoundError'))
    devices().find((track) => track.kind === 'video')?.vanish()
    await pass(10)
    expect(room.camera.value).toBe(false)
    expect(room.trouble.value).toEqual({ what: 'camera', fault: 'unplugged' })
  })

  it('opens no other camera for one that is pulled out, only the same one', async () => {
    open({ voice: false, camera: true })
    await pass(500)
    const wanted: MediaStreamConstraints[] = []
    ask = (constraints) => (wanted.push(constraints), Promise.reject(new DOMException('gone', 'OverconstrainedError')))
    devices()[0]?.vanish()
    await pass(10)
    expect(wanted).toMatchObject([{ video: { deviceId: { exact: 'video device' } } }])
    expect(room.camera.value).toBe(false)
    expect(room.trouble.value).toEqual({ what: 'camera', fault: 'unplugged' })
  })

  it('says that the browser no longer allows what was taken away in its settings', async () => {
    open({ voice: false, camera: true })
    await pass(500)
    ask = () => Promise.reject(new DOMException('no', 'NotAllowedError'))
    devices()[0]?.vanish()
    await pass(10)
    expect(room.trouble.value).toEqual({ what: 'camera', fault: 'refused' })
  })

  it('lets go of one camera for another where only one can be open', async () => {
    open({ voice: false, camera: true })
    await pass(500)
    const [first] = devices()
    ask = () => (first?.readyState === 'live' ? Promise.reject(new DOMException('in use', 'NotReadableError')) : Promise.resolve(new Stream([new Track('video')])))
    await room.setCamera(true)
    expect(first?.readyState).toBe('ended')
    expect(devices()).toHaveLength(1)
    expect(room.trouble.value).toBeNull()
  })

  it('ends a shared screen by the button of the browser, without a word of trouble', async () => {
    open()
    await pass(500)
    await room.setSharing(true)
    await pass(10)
    expect(room.sharing.value).toBe(true)
    expect(devices()[0]?.contentHint).toBe('detail')
    devices()[0]?.vanish()
    await pass(10)
    expect(room.sharing.value).toBe(false)
    expect(room.trouble.value).toBeNull()
    expect(asked.filter((each) => each.name === 'seat').at(-1)?.values[1]).toEqual({ screen: false })
  })
})

describe('what is told', () => {
  it('waits for the answer to what was told before, which could be heard after it', async () => {
    const waiting: (() => void)[] = []
    answers['seat'] = () => new Promise((resolve) => waiting.push(() => resolve(callOf((version += 1)))))
    open({ voice: false, camera: false })
    await pass(500)
    await room.setVoice(true)
    await room.setCamera(true)
    await pass(5_000)
    expect(count('seat')).toBe(1)
    waiting.shift()?.()
    await pass(500)
    expect(asked.filter((each) => each.name === 'seat').map((each) => each.values[1])).toMatchObject([{ voice: false, camera: false }, { voice: true, camera: true }])
    waiting.shift()?.()
    await pass(5_000)
    expect(count('seat')).toBe(2)
  })

  it('is asked of a new connection at once, whatever the old one owes', async () => {
    answers['view'] = (_id, connection) => (connection === 'cx_old' ? new Promise(() => undefined) : undefined)
    let made = 0
    answers['connect'] = (_id, direction) => ({ id: direction === 'watch' && made++ === 0 ? 'cx_old' : `cx_${String(direction)}`, answer: 'answer', call: callOf(version) })
    open({ voice: false, camera: false })
    await pass(500)
    tell(callOf((version += 1), { epoch: 2 }))
    await pass(500)
    const views = (): unknown[] => asked.filter((each) => each.name === 'view').map((each) => each.values[1])
    expect(views()).toEqual(['cx_old', 'cx_watch'])
  })
})

describe('what goes away', () => {
  it('lets go of everything at once when the page is left', async () => {
    open({ voice: true, camera: true })
    await pass(500)
    window.dispatchEvent(new Event('pagehide'))
    expect(count('closing')).toBe(1)
    expect(devices()).toEqual([])
    expect(Connection.all.every((each) => each.connectionState === 'closed')).toBe(true)
    expect(closed).toBe(1)
    expect(count('leave')).toBe(0)
  })

  it('says that the page is closed once, and not after one has left', async () => {
    open({ voice: false, camera: false })
    await pass(500)
    answers['leave'] = () => new Promise(() => undefined)
    void room.leave()
    window.dispatchEvent(new Event('pagehide'))
    window.dispatchEvent(new Event('pagehide'))
    expect(count('closing')).toBe(0)
  })

  it('lets go of the devices before the server has answered that one leaves', async () => {
    open({ voice: true, camera: true })
    await pass(500)
    answers['leave'] = () => new Promise(() => undefined)
    void room.leave()
    expect(devices()).toEqual([])
    expect(Track.all.filter((track) => track.kind === 'video' && track.readyState === 'live' && Connection.all.some((each) => each.senders.some((sender) => sender.track === track)))).toEqual([])
  })

  it('sets up both connections anew at a new epoch, and shows what was shown', async () => {
    open({ voice: true, camera: true })
    await pass(500)
    const before = Connection.all.length
    tell(callOf((version += 1), { epoch: 2 }))
    await pass(500)
    expect(Connection.all).toHaveLength(before + 2)
    expect(Connection.all.slice(0, before).every((each) => each.connectionState === 'closed')).toBe(true)
    expect(asked.filter((each) => each.name === 'connect').at(-1)?.values[3]).toBe(2)
    const publisher = Connection.all.slice(before).find((each) => each.senders.length === 4)
    expect(publisher?.senders.map((each) => each.track?.readyState)).toEqual(['live', 'live', 'live', undefined])
    expect(room.phase.value).toBe('live')
  })

  it('ends here when the seat has moved to another device', async () => {
    open({ voice: true, camera: true })
    await pass(500)
    tell(callOf((version += 1), { seats: [seat('p_me', { here: false, device: 'other' }), seat('p_bo')] }))
    expect(closed).toBe(1)
    expect(devices()).toEqual([])
  })

  it('comes back when the seat was given up only because there was no socket', async () => {
    open({ voice: true, camera: false })
    await pass(500)
    const before = Connection.all.length
    online(false)
    await pass(80_000)
    online(true)
    tell(callOf((version += 1), { can: ['join'], seats: [seat('p_me', { state: 'left', here: false, since: Date.now() - 10_000 }), seat('p_bo')] }))
    await pass(500)
    expect(count('accept')).toBe(1)
    expect(closed).toBe(0)
    expect(Connection.all.length).toBeGreaterThanOrEqual(before + 2)
    expect(room.phase.value).toBe('live')
  })

  it('does not come back by itself, with its camera, after a long sleep', async () => {
    open({ voice: false, camera: true })
    await pass(500)
    online(false)
    await pass(3_600_000)
    online(true)
    tell(callOf((version += 1), { can: ['join'], seats: [seat('p_me', { state: 'left', here: false, since: Date.now() - 3_000_000 }), seat('p_bo')] }))
    await pass(500)
    expect(count('accept')).toBe(0)
    expect(closed).toBe(1)
    expect(devices()).toEqual([])
  })

  it('does not come back to a call that was left in another window', async () => {
    open({ voice: true, camera: false })
    await pass(20_000)
    tell(callOf((version += 1), { can: ['join'], seats: [seat('p_me', { state: 'left', here: false, since: Date.now() }), seat('p_bo')] }))
    await pass(500)
    expect(count('accept')).toBe(0)
    expect(closed).toBe(1)
  })
})

describe('leaving', () => {
  it('says nothing more of what one shows', async () => {
    open({ voice: true, camera: true })
    await pass(500)
    const before = count('seat')
    let answer: (call: CallView) => void = () => undefined
    answers['leave'] = () => new Promise((resolve) => (answer = resolve))
    void room.setVoice(false)
    const leaving = room.leave()
    await pass(5_000)
    expect(count('seat')).toBe(before)
    answer(callOf((version += 1)))
    await leaving
    expect(closed).toBe(1)
  })

  it('is not taken back because the socket was gone a moment ago', async () => {
    open({ voice: true, camera: false })
    await pass(500)
    online(false)
    await pass(1_000)
    online(true)
    answers['leave'] = () => new Promise(() => undefined)
    void room.leave()
    tell(callOf((version += 1), { can: ['join'], seats: [seat('p_me', { state: 'left', here: false, since: Date.now() }), seat('p_bo')] }))
    await pass(500)
    expect(count('accept')).toBe(0)
    expect(closed).toBe(1)
  })

  it('happens at once to whoever is put out of the conversation', async () => {
    open({ voice: true, camera: true })
    await pass(500)
    putOut()
    expect(devices()).toEqual([])
    expect(closed).toBe(1)
  })
})

describe('what one sees', () => {
  it('asks for every voice, for the pictures that are looked at, and keeps the lines', async () => {
    open()
    await pass(500)
    room.look([{ person: 'p_bo', track: 'camera', small: true }])
    await pass(500)
    const slots = (): unknown => asked.filter((each) => each.name === 'view').at(-1)?.values[2]
    const [voice, camera] = slots() as { index: number }[]
    expect(voice).toMatchObject({ person: 'p_bo', track: 'voice' })
    expect(camera).toMatchObject({ person: 'p_bo', track: 'camera', layer: 'small' })
    expect(room.streamOf('p_bo', 'camera')).not.toBeNull()
    expect(room.streamOf('p_bo', 'screen')).toBeNull()
    room.look([])
    await pass(500)
    expect(slots()).toEqual([voice])
    const before = count('view')
    room.look([])
    await pass(500)
    expect(count('view')).toBe(before)
    expect(asked.filter((each) => each.name === 'seat').at(-1)?.values[1]).toEqual({ watching: [] })
  })

  it('hears of lines and of pictures that were taken of oneself', async () => {
    open()
    await pass(100)
    signal({ by: 'server', kind: 'line', body: { person: 'p_bo', loss: 12, bitrate: 100 } })
    expect(room.qualities.get('p_bo')).toBe('poor')
    // At the border it does not flicker: it must be better by a third to be called better.
    signal({ by: 'server', kind: 'line', body: { person: 'p_bo', loss: 8, bitrate: 100 } })
    signal({ by: 'server', kind: 'line', body: { person: 'p_cy', loss: 8, bitrate: 100 } })
    expect([room.qualities.get('p_bo'), room.qualities.get('p_cy')]).toEqual(['poor', 'fair'])
    await pass(20_000)
    expect(room.qualities.get('p_bo')).toBeUndefined()
    signal({ by: 'server', kind: 'snapshot', body: { person: 'p_me', by: 'p_bo' } })
    expect(room.taken.value).toEqual({ by: 'p_bo' })
  })
})
