import { describe, expect, it } from 'vitest'
import { ANSWER_WITHIN } from '../src/requests.js'
import type { PositionInfo } from '../src/types.js'
import { live, room } from './room.js'
import { LIN, MEI, ROOM, World, entry } from './world.js'

describe('signals, presence, positions', () => {
  it('sends a signal only while it can be heard', async () => {
    const { world, handle, wire } = await room()
    handle.signal('typing', { on: true })
    expect(wire.all('signal')).toEqual([{ t: 'signal', ch: ROOM, kind: 'typing', body: { on: true } }])
    wire.drop(1006)
    handle.signal('typing', { on: true })
    const next = await world.again()
    next.subscribed(ROOM, { signal: false })
    handle.signal('typing', { on: false })
    expect(next.all('signal')).toEqual([])
  })

  it('hears signals', async () => {
    const { handle, wire } = await room()
    const signals: unknown[] = []
    handle.on('signal', (signal) => signals.push(signal))
    wire.say({ t: 'signal', ch: ROOM, by: MEI, kind: 'typing', body: { on: true } })
    expect(signals).toEqual([{ by: MEI, kind: 'typing', body: { on: true } }])
  })

  it('keeps who is here, and knows nobody while it is offline', async () => {
    const { handle, wire } = await room()
    const seen: string[][] = []
    handle.on('presence', (online) => seen.push([...online]))
    wire.say({ t: 'presence', ch: ROOM, online: [LIN, MEI] })
    wire.say({ t: 'presence', ch: ROOM, joined: ['p_bo'], left: [MEI] })
    wire.drop(1006)
    expect(seen).toEqual([[LIN, MEI], [LIN, 'p_bo'], []])
    expect([...handle.online]).toEqual([])
  })

  it('knows only how many are here where they are too many to be named', async () => {
    const { handle, wire } = await room()
    const seen: [string[], number][] = []
    handle.on('presence', (online, count) => seen.push([[...online], count]))
    wire.say({ t: 'presence', ch: ROOM, online: [LIN] })
    wire.say({ t: 'presence', ch: ROOM, count: 3_000 })
    wire.say({ t: 'presence', ch: ROOM, online: [LIN, MEI] })
    wire.say({ t: 'presence', ch: ROOM, count: 2_999 })
    wire.drop(1006)
    expect(seen).toEqual([[[LIN], 1], [[], 3_000], [[LIN, MEI], 2], [[], 2_999], [[], 0]])
  })

  it('gathers moves, sends only what is further, and tells again after a loss until the server knows', async () => {
    const { world, handle, wire } = await room({ head: 90, read: 3, delivered: 3 })
    handle.position({ read: 3 })
    handle.position({ read: 4, delivered: 6 })
    for (let seq = 5; seq < 20; seq += 1) handle.position({ read: seq })
    handle.position({ read: 10 })
    await world.pass(1_000)
    expect(wire.all('position')).toEqual([
      { t: 'position', ch: ROOM, read: 4, delivered: 6 },
      { t: 'position', ch: ROOM, read: 19 },
    ])
    wire.drop(1006)
    handle.position({ read: 21 })
    const next = await world.again()
    expect(next.all('position')).toEqual([{ t: 'position', ch: ROOM, read: 21, delivered: 6 }])
    next.subscribed(ROOM, { head: 90, read: 19, delivered: 19 })
    next.say({ t: 'position', ch: ROOM, by: LIN, read: 21, read_n: 21, delivered: 21 })
    next.drop(1006)
    const third = await world.again()
    expect(third.all('position')).toEqual([])
  })

  it('tells about many channels no faster than the server listens', async () => {
    const { world, client, wire } = await room()
    for (let number = 0; number < 100; number += 1) client.channel(`conv:c_${number}`).position({ read: 1 })
    const counts: number[] = []
    for (let second = 0; second < 4; second += 1) {
      counts.push(wire.all('position').length)
      await world.pass(1_000)
    }
    expect(counts).toEqual([1, 33, 65, 97])
    expect(wire.all('position')).toHaveLength(100)
    // Too fast all the same, says the server: then everything again, as slowly.
    wire.say({ t: 'error', code: 'too_often', message: '' })
    await world.pass(1_500)
    expect(wire.all('position').length).toBeLessThan(130)
    await world.pass(4_000)
    expect(wire.all('position')).toHaveLength(200)
  })

  it('does not repeat a position that the server refuses', async () => {
    const { world, handle, wire } = await room()
    handle.position({ read: 5 })
    wire.say({ t: 'error', code: 'bad_request', message: 'beyond', ch: ROOM })
    wire.drop(1006)
    expect((await world.again()).all('position')).toEqual([])
  })

  it('tells positions: the own ones change what is unread', async () => {
    const { handle, wire } = await room({ head: 9, n: 9, read: 3, read_n: 3 })
    const positions: PositionInfo[] = []
    handle.on('position', (position) => positions.push(position))
    wire.say({ t: 'position', ch: ROOM, by: MEI, read: 9, read_n: 9, delivered: 9 })
    expect(handle.info).toMatchObject({ n: 9, read_n: 3 })
    wire.say({ t: 'position', ch: ROOM, by: LIN, read: 7, read_n: 6, delivered: 9 })
    expect(handle.info).toMatchObject({ n: 9, read: 7, read_n: 6, delivered: 9 })
    wire.say(...live(10))
    expect(handle.info).toMatchObject({ head: 10, n: 10, read_n: 6 })
    expect(positions.map((position) => position.by)).toEqual([MEI, LIN])
  })
})

describe('history', () => {
  const page = { ch: ROOM, head: 3, n: 3, first: 1, entries: [entry(1), entry(2)] }

  it('asks and is answered', async () => {
    const { handle, wire } = await room()
    const asked = handle.history({ before: 3, limit: 2 })
    const { rid, ...frame } = wire.last('history')
    expect(frame).toEqual({ t: 'history', ch: ROOM, before: 3, limit: 2 })
    wire.say({ t: 'page', rid, page })
    expect(await asked).toEqual({ ...page, modifiers: [] })
  })

  it('waits for a connection and asks again after a loss', async () => {
    const world = new World()
    const client = world.client()
    const asked = client.channel(ROOM).history()
    const wire = await world.online(client)
    expect(wire.all('history')).toHaveLength(1)
    wire.drop(1006)
    const next = await world.again()
    next.say({ t: 'page', rid: next.last('history').rid, page })
    expect((await asked).entries).toHaveLength(2)
  })

  it('repeats what passes, gives up what does not', async () => {
    const { world, handle, wire } = await room()
    const asked = handle.history()
    wire.say({ t: 'error', rid: wire.last('history').rid, code: 'unavailable', message: '', retry_after: 1 })
    await world.pass(5_000)
    expect(wire.all('history')).toHaveLength(2)
    const failing = expect(asked).rejects.toMatchObject({ code: 'forbidden', message: 'no', field: 'ch' })
    wire.say({ t: 'error', rid: wire.last('history').rid, code: 'forbidden', message: 'no', field: 'ch' })
    await failing
  })

  it('gives up when no answer ever comes', async () => {
    const { world, handle, wire } = await room()
    wire.answer = (frame) => {
      if (frame.t === 'ping') wire.say({ t: 'pong', rid: frame.rid, at: 0 })
    }
    const failing = expect(handle.history()).rejects.toMatchObject({ code: 'timeout' })
    await world.pass(5 * ANSWER_WITHIN)
    await failing
    expect(wire.all('history')).toHaveLength(4)
  })

  it('ends with the client, or when the caller gives up', async () => {
    const { handle, client } = await room()
    const stop = new AbortController()
    const aborted = expect(handle.history({ signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' })
    const closed = expect(handle.history()).rejects.toMatchObject({ code: 'closed' })
    stop.abort()
    client.close()
    await Promise.all([aborted, closed])
    await expect(handle.history({ signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' })
  })
})

describe('too many frames', () => {
  it('asks again for all that is unanswered, once the server wants to listen', async () => {
    const { world, handle, wire } = await room()
    const asked = handle.history()
    handle.send('message', { text: 'hello' })
    await world.settle()
    wire.say({ t: 'error', code: 'too_often', message: '', retry_after: 2 })
    wire.say({ t: 'error', code: 'too_often', message: '', retry_after: 2 })
    await world.pass(2_900)
    expect([wire.all('history').length, wire.all('append').length]).toEqual([1, 1])
    await world.pass(200)
    expect([wire.all('history').length, wire.all('append').length]).toEqual([2, 2])
    wire.say({ t: 'page', rid: wire.last('history').rid, page: { ch: ROOM, head: 0, n: 0, first: 1, entries: [] } })
    expect((await asked).entries).toEqual([])
  })
})
