import { IDBFactory } from 'fake-indexeddb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createRealtime, socketUrl } from '../src/browser.js'
import { indexedDbStorage } from '../src/indexeddb.js'
import { createProgram } from '../src/node.js'
import type { SocketLike } from '../src/environment.js'
import { Locks } from './locks.js'
import { CLIENT_ID, LIN, ROOM, Wire } from './world.js'

const page = { visibilityState: 'visible' }
let wires: Wire[] = []
let windowEvents: EventTarget & Record<string, unknown>
let documentEvents: EventTarget & typeof page

class Socket extends Wire {
  constructor(url: string) {
    super(url)
    wires.push(this)
  }
}

beforeEach(() => {
  vi.useFakeTimers()
  wires = []
  windowEvents = new EventTarget() as typeof windowEvents
  documentEvents = Object.assign(new EventTarget(), page)
  vi.stubGlobal('window', windowEvents)
  vi.stubGlobal('document', documentEvents)
  vi.stubGlobal('location', { href: 'https://vouch.test/chats/c_1' })
  vi.stubGlobal('navigator', { locks: new Locks().manager, onLine: true })
  vi.stubGlobal('indexedDB', new IDBFactory())
  vi.stubGlobal('WebSocket', Socket)
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(50)

describe('addresses', () => {
  it.each([
    ['/api/v1/socket', 'https://vouch.test/chats/c_1', 'wss://vouch.test/api/v1/socket'],
    ['/api/v1/socket', 'http://127.0.0.1:8080/', 'ws://127.0.0.1:8080/api/v1/socket'],
    ['wss://other.test/s', 'http://127.0.0.1:8080/', 'wss://other.test/s'],
    ['https://other.test/s', 'http://127.0.0.1:8080/', 'wss://other.test/s'],
  ])('%s on %s is %s', (url, base, expected) => {
    expect(socketUrl(url, base)).toBe(expected)
  })
})

describe('in a browser', () => {
  it('connects beside the page and stores what waits', async () => {
    vi.useRealTimers() // the database runs on them
    const stored = async (): Promise<string[]> => (await indexedDbStorage(LIN).load()).map((row) => row.id)
    const realtime = createRealtime({ person: LIN, epoch: 'e0' })
    const { id } = realtime.channel(ROOM).send('message', { text: 'kept' })
    expect(id).toMatch(CLIENT_ID)
    await vi.waitFor(async () => expect(await stored()).toEqual([id]))
    realtime.connect()
    expect(wires[0]?.url).toBe('wss://vouch.test/api/v1/socket')
    wires[0]?.accept()
    expect(wires[0]?.heard[0]).toEqual({ t: 'hello', v: 1, epoch: 'e0' })
    realtime.close()

    vi.stubGlobal('navigator', { locks: new Locks().manager })
    const reloaded = createRealtime({ person: LIN })
    await vi.waitFor(() => expect(reloaded.pending()).toMatchObject([{ id, state: 'waiting', body: { text: 'kept' } }]))
    await reloaded.forget()
    await vi.waitFor(async () => expect(await indexedDB.databases()).toEqual([]))
  })

  it('comes back at once when the network does or the page is shown, and listens only while it is wanted', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.999)
    const realtime = createRealtime({ person: LIN })
    windowEvents.dispatchEvent(new Event('online'))
    expect(wires).toHaveLength(0)
    realtime.connect()
    for (let attempt = 0; attempt < 8; attempt += 1) {
      wires.at(-1)?.drop(1006)
      await vi.advanceTimersByTimeAsync(20_000)
    }
    wires.at(-1)?.drop(1006)
    const before = wires.length
    windowEvents.dispatchEvent(new Event('online'))
    await vi.advanceTimersByTimeAsync(0)
    expect(wires).toHaveLength(before + 1)
    wires.at(-1)?.drop(1006)
    documentEvents.visibilityState = 'hidden'
    documentEvents.dispatchEvent(new Event('visibilitychange'))
    await vi.advanceTimersByTimeAsync(0)
    expect(wires).toHaveLength(before + 1)
    documentEvents.visibilityState = 'visible'
    documentEvents.dispatchEvent(new Event('visibilitychange'))
    await vi.advanceTimersByTimeAsync(0)
    expect(wires).toHaveLength(before + 2)
    realtime.close()
    windowEvents.dispatchEvent(new Event('online'))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(wires).toHaveLength(before + 2)
  })

  it.each(['pagehide', 'visibilitychange'])('tells how far one has read before the page is gone: %s', (event) => {
    const realtime = createRealtime({ person: LIN })
    realtime.channel(ROOM).position({ read: 9 })
    realtime.connect()
    wires[0]?.accept()
    wires[0]?.welcome(LIN)
    realtime.channel(ROOM).position({ read: 11 })
    expect(wires[0]?.last('position').read).toBe(9)
    documentEvents.visibilityState = 'hidden'
    ;(event === 'pagehide' ? windowEvents : documentEvents).dispatchEvent(new Event(event))
    expect(wires[0]?.last('position').read).toBe(11)
  })

  it('asks a connection whether it lives when the network is said to be gone', async () => {
    const realtime = createRealtime({ person: LIN })
    realtime.connect()
    wires[0]?.accept()
    wires[0]?.welcome(LIN)
    windowEvents.dispatchEvent(new Event('offline'))
    expect(wires[0]?.all('ping')).toHaveLength(1)
    expect(realtime.state).toBe('online')
    await vi.advanceTimersByTimeAsync(5_000)
    expect(realtime.state).toBe('offline')
  })

  it('works without locks and without a database', async () => {
    vi.stubGlobal('navigator', {})
    vi.stubGlobal('indexedDB', undefined)
    const realtime = createRealtime({ person: LIN, url: 'ws://other.test/s' })
    realtime.connect()
    await settle()
    expect(wires[0]?.url).toBe('ws://other.test/s')
    wires[0]?.accept()
    wires[0]?.welcome(LIN)
    realtime.channel(ROOM).send('message', { text: 'a' })
    await settle()
    expect(wires[0]?.all('append')).toHaveLength(1)
  })

  it('reports the exception of a listener as the browser would', () => {
    const report = vi.fn()
    vi.stubGlobal('reportError', report)
    const realtime = createRealtime({ person: LIN })
    const fault = new Error('in a listener')
    realtime.on('state', () => {
      throw fault
    })
    realtime.connect()
    expect(report).toHaveBeenCalledWith(fault)
  })
})

describe('in a program', () => {
  it('brings its own WebSocket, token and place', () => {
    const sockets: Wire[] = []
    class Own extends Wire {
      constructor(url: string) {
        super(url)
        sockets.push(this)
      }
    }
    const own: new (url: string) => SocketLike = Own
    const program = createProgram({ url: 'ws://hub.test/s', token: 't', WebSocket: own, epoch: 'e7' })
    program.connect()
    sockets[0]?.accept()
    expect(sockets[0]?.heard[0]).toEqual({ t: 'hello', v: 1, token: 't', epoch: 'e7' })
    program.close()
    createProgram({ url: 'ws://hub.test/s', token: 't' }).connect()
    expect(wires[0]?.url).toBe('ws://hub.test/s')
  })
})
