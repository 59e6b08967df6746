import { describe, expect, it } from 'vitest'
import { delay, delayAfter, fateOf } from '../src/backoff.js'
import { CONNECT_WITHIN, PING_AFTER, PONG_WITHIN, PROBE_WITHIN } from '../src/connection.js'
import { CLOSE } from '../src/generated/protocol.js'
import type { State, StateInfo } from '../src/types.js'
import { INBOX, MEI, ROOM, World } from './world.js'

function recorded(client: ReturnType<World['client']>): [State, StateInfo][] {
  const states: [State, StateInfo][] = []
  client.on('state', (state, info) => states.push([state, info]))
  return states
}

describe('hello', () => {
  it('comes first, and subscriptions follow without waiting for the welcome', async () => {
    const world = new World()
    const client = world.client()
    client.channel(ROOM).open()
    client.connect()
    await world.settle()
    expect(client.state).toBe('connecting')
    world.wire.accept()
    expect(world.wire.heard[0]).toEqual({ t: 'hello', v: 1 })
    expect(world.wire.last('subscribe').channels).toEqual([{ ch: ROOM }, { ch: INBOX }])
    world.wire.welcome()
    expect(client.state).toBe('online')
    expect(client.epoch).toBe('e1')
  })

  it('carries the token of a program and the epoch of the last welcome', async () => {
    const world = new World()
    const client = world.client({ token: 'secret' })
    await world.online(client)
    expect(world.wire.heard[0]).toEqual({ t: 'hello', v: 1, token: 'secret' })
    world.wire.drop(1006)
    await world.again()
    expect(world.wire.heard[0]).toEqual({ t: 'hello', v: 1, token: 'secret', epoch: 'e1' })
  })

  it('learns from the welcome who it is, when nobody has said so', async () => {
    const world = new World()
    const client = world.client({ person: undefined })
    await world.online(client)
    expect(client.who).toBe('p_lin')
    expect(world.wire.asking(INBOX)).toBeTruthy()
  })

  it('ends when the cookie belongs to somebody else by now, and sends nothing in that name', async () => {
    const world = new World()
    const client = world.client()
    client.channel(ROOM).open().send('message', { text: 'from Lin' })
    client.connect()
    await world.settle()
    world.wire.accept()
    world.wire.welcome(MEI)
    await world.pass(60_000)
    expect(client.state).toBe('ended')
    expect(client.stateInfo.reason).toBe('Somebody else has signed in.')
    expect(world.wire.left).toBe(1000)
    expect(world.wire.all('append')).toEqual([])
    expect(world.wires).toHaveLength(1)
  })
})

describe('coming back', () => {
  it('waits with full jitter: below 0.3 s doubled each time, at most 20 s', () => {
    expect([0, 1, 2, 5, 6, 7, 100].map((attempt) => delay(attempt, () => 1))).toEqual([
      300, 600, 1200, 9600, 19_200, 20_000, 20_000,
    ])
    expect(delay(3, () => 0)).toBe(0)
    expect(delayAfter(0, 2, () => 0)).toBe(2000)
    expect(delayAfter(0, 2, () => 0.999)).toBeLessThan(2800)
  })

  it.each([1000, 1001, 1005, 1006, 1011, 1012, 1015, 3000, ...Object.values(CLOSE)])('knows close code %i', async (code) => {
    const world = new World()
    const client = world.client()
    await world.online(client)
    world.wire.drop(code, 'why')
    const ends = code >= 4500
    expect(client.state).toBe(ends ? 'ended' : 'offline')
    expect(client.stateInfo).toMatchObject({ closeCode: code, reason: 'why' })
    await world.pass(60_000)
    expect(world.wires.length > 1).toBe(!ends)
  })

  it('is patient where the server asks for patience', async () => {
    expect([CLOSE.FLOOD, CLOSE.TRY_LATER, CLOSE.INTERNAL, CLOSE.TOO_MANY_CONNECTIONS].map(fateOf)).toEqual(
      Array(4).fill('back-off'),
    )
    const world = new World()
    const client = world.client()
    await world.online(client)
    world.luck = 1
    world.wire.drop(CLOSE.FLOOD)
    expect(client.stateInfo.retryAt).toBe(world.now + 2400)
  })

  it('doubles while attempts fail and starts anew after a connection that lasted', async () => {
    const world = new World()
    world.luck = 1
    const client = world.client()
    client.connect()
    const waits: number[] = []
    for (let attempt = 0; attempt < 9; attempt += 1) {
      world.wire.drop(1006)
      const wait = (client.stateInfo.retryAt ?? 0) - world.now
      waits.push(wait)
      await world.pass(wait)
    }
    expect(waits).toEqual([300, 600, 1200, 2400, 4800, 9600, 19_200, 20_000, 20_000])
    world.wire.accept()
    world.wire.welcome()
    world.wire.drop(1006)
    expect((client.stateInfo.retryAt ?? 0) - world.now).toBe(2_400)
    await world.again()
    await world.pass(6_000)
    world.wire.drop(1006)
    expect((client.stateInfo.retryAt ?? 0) - world.now).toBe(300)
  })

  it('does not come before the server wants it, not even when woken', async () => {
    const world = new World()
    const client = world.client()
    await world.online(client)
    world.wire.say({ t: 'bye', close: 4000, reason: 'going_away', retry_after: 3 })
    world.wire.drop(4000)
    expect(client.stateInfo.reason).toBe('going_away')
    client.wake()
    await world.pass(2_999)
    expect(world.wires).toHaveLength(1)
    await world.pass(1)
    expect(world.wires).toHaveLength(2)
  })

  it('takes the close code of `bye` when a proxy has swallowed the real one', async () => {
    const world = new World()
    const client = world.client()
    await world.online(client)
    world.wire.say({ t: 'bye', close: CLOSE.SIGNED_OUT, reason: 'signed_out' })
    world.wire.drop(1006)
    expect(client.state).toBe('ended')
    expect(client.stateInfo.closeCode).toBe(CLOSE.SIGNED_OUT)
  })

  it('comes at once when the network or the page is back', async () => {
    const world = new World()
    world.luck = 1
    const client = world.client()
    client.connect()
    for (let attempt = 0; attempt < 6; attempt += 1) {
      world.wire.drop(1006)
      await world.pass(20_000)
    }
    world.wire.drop(1006)
    const before = world.wires.length
    client.wake()
    await world.pass(0)
    expect(world.wires).toHaveLength(before + 1)
  })

  it('gives up a connection on which no welcome comes', async () => {
    const world = new World()
    const client = world.client()
    client.connect()
    world.wire.accept()
    await world.pass(CONNECT_WITHIN)
    expect(client.state).not.toBe('online')
    expect(world.wires[0]?.left).toBe(CLOSE.NO_HEARTBEAT)
    await world.again()
    expect(client.state).toBe('online')
  })

  it('tells its states in order', async () => {
    const world = new World()
    const client = world.client()
    const states = recorded(client)
    await world.online(client)
    world.wire.drop(1006)
    await world.again()
    client.close()
    expect(states.map(([state]) => state)).toEqual(['connecting', 'online', 'offline', 'connecting', 'online', 'idle'])
    expect(world.wire.left).toBe(1000)
    await world.pass(120_000)
    expect(world.wires).toHaveLength(2)
  })

  it('can be connected again after it was closed or has ended, and leaves no timer behind', async () => {
    const world = new World()
    const client = world.client()
    client.channel(ROOM).open()
    await world.online(client)
    world.wire.drop(CLOSE.SIGNED_OUT)
    expect(world.timers).toBe(0)
    await world.online(client)
    expect(client.state).toBe('online')
    client.connect()
    expect(world.wires).toHaveLength(2)
    client.close()
    expect(world.timers).toBe(0)
  })

  it('ends on an address that no WebSocket takes', () => {
    const world = new World()
    const client = world.client({
      environment: {
        ...world.environment,
        openSocket: () => {
          throw new SyntaxError('no such scheme')
        },
      },
    })
    client.connect()
    expect(client.state).toBe('ended')
  })
})

describe('heartbeat', () => {
  it('asks after 25 s of silence and goes on when anything at all is said', async () => {
    const world = new World()
    const client = world.client()
    const wire = await world.online(client)
    await world.pass(PING_AFTER - 5_000)
    wire.say({ t: 'unheard-of' })
    await world.pass(PING_AFTER - 1)
    expect(wire.all('ping')).toHaveLength(0)
    await world.pass(1)
    expect(wire.all('ping')).toHaveLength(1)
    wire.say({ t: 'pong', rid: wire.last('ping').rid, at: 1 })
    await world.pass(PONG_WITHIN)
    expect(client.state).toBe('online')
  })

  it('leaves a connection that answers nothing for 10 s, without waiting for its close', async () => {
    const world = new World()
    const client = world.client()
    const wire = await world.online(client)
    await world.pass(PING_AFTER + PONG_WITHIN)
    expect(client.state).toBe('offline')
    expect(wire.left).toBe(CLOSE.NO_HEARTBEAT)
    await world.again()
    wire.drop(1006)
    wire.welcome()
    expect(client.state).toBe('online')
  })

  it('asks sooner when the network has changed, and only once at a time', async () => {
    const world = new World()
    const client = world.client()
    const wire = await world.online(client)
    client.wake()
    client.wake()
    expect(wire.all('ping')).toHaveLength(1)
    await world.pass(PROBE_WITHIN)
    expect(client.state).toBe('offline')
  })
})

describe('a clock that is put back', () => {
  it('neither delays the next ping nor the next attempt', async () => {
    const world = new World()
    const client = world.client()
    const wire = await world.online(client)
    wire.say({ t: 'unheard-of' })
    const step = world.environment.now
    world.environment.now = () => step() - 3_600_000
    await world.pass(PING_AFTER)
    expect(wire.all('ping')).toHaveLength(1)
    world.environment.now = step
    wire.say({ t: 'bye', close: 4000, reason: 'going_away', retry_after: 2 })
    wire.drop(4000)
    world.environment.now = () => step() - 3_600_000
    client.wake()
    await world.pass(2_000)
    expect(world.wires).toHaveLength(2)
  })
})

describe('what is not as it should be', () => {
  it('is reported and passed over', async () => {
    const world = new World()
    const client = world.client()
    const faults: string[] = []
    client.on('fault', (what) => faults.push(what))
    const wire = await world.online(client)
    for (const data of ['', '{', '[]', 'null', '{"t":3}', new Uint8Array(3)]) wire.raw(data)
    wire.say({ t: 'something_new', x: 1 }, { t: 'unsubscribed', rid: 7 }, { t: 'page', rid: 99, page: null })
    wire.say({ t: 'error', code: 'malformed', message: 'what?' })
    expect(faults).toEqual(['frame', 'frame', 'frame', 'frame', 'frame', 'frame', 'refused'])
    expect(client.state).toBe('online')
  })

  it('does not let one listener stop another', async () => {
    const world = new World()
    const client = world.client()
    let heard = 0
    client.on('state', () => {
      throw new Error('mine')
    })
    const stop = client.on('state', () => (heard += 1))
    await world.online(client)
    expect(heard).toBe(2)
    expect(world.faults).toHaveLength(2)
    stop()
    client.close()
    expect(heard).toBe(2)
  })
})
