import { describe, expect, it } from 'vitest'
import { ANSWER_WITHIN } from '../src/requests.js'
import type { ChannelHandle, PositionInfo } from '../src/types.js'
import { INBOX, LIN, MEI, ROOM, World, entry } from './world.js'

function heard(handle: ChannelHandle): string[] {
  const lines: string[] = []
  handle.on('entry', ({ seq }) => lines.push(String(seq)))
  handle.on('reset', (reason) => lines.push(`reset ${reason}`))
  handle.on('dropped', (code) => lines.push(`dropped ${code}`))
  return lines
}

async function room(more: Parameters<World['wire']['subscribed']>[1] = {}) {
  const world = new World()
  const client = world.client()
  const handle = client.channel(ROOM).open()
  const lines = heard(handle)
  const wire = await world.online(client)
  wire.subscribed(INBOX)
  wire.subscribed(ROOM, more)
  return { world, client, handle, lines, wire }
}

const live = (...seqs: number[]) => seqs.map((seq) => ({ t: 'entry', ch: ROOM, entry: entry(seq) }))

describe('subscribing', () => {
  it('gathers what is opened in one turn into few frames of at most 500 channels', async () => {
    const world = new World()
    const client = world.client()
    const wire = await world.online(client)
    for (let room = 0; room < 1001; room += 1) client.channel(`conv:c_${room}`).open()
    await world.settle()
    expect(wire.all('subscribe').map((frame) => frame.channels.length)).toEqual([1, 500, 500, 1])
  })

  it('counts its holders: subscribed by the first, let go by the last', async () => {
    const { world, client, handle, wire } = await room()
    const second = client.channel(ROOM).open()
    const lines = heard(second)
    await world.settle()
    expect(wire.all('subscribe')).toHaveLength(1)
    handle.release()
    handle.release()
    wire.say(...live(1))
    expect(lines).toEqual(['1'])
    second.release()
    await world.settle()
    expect(wire.last('unsubscribe').channels).toEqual([ROOM])
    wire.say(...live(2))
    expect(lines).toEqual(['1'])
  })

  it('survives letting go and opening again in one turn, and hears nothing of the old subscription', async () => {
    const { world, handle, lines, wire } = await room({ head: 4 })
    handle.release()
    handle.open()
    await world.settle()
    expect(wire.heard.slice(-2).map((frame) => frame.t)).toEqual(['unsubscribe', 'subscribe'])
    wire.say(...live(5))
    wire.subscribed(ROOM, { head: 5 })
    wire.say(...live(6))
    expect(lines).toEqual(['6'])
  })

  it('starts at the head, or where the application left off', async () => {
    const world = new World()
    const client = world.client({ epoch: 'e1' })
    const handle = client.channel(ROOM).open({ after: 7 })
    const lines = heard(handle)
    const wire = await world.online(client)
    expect(wire.after(ROOM)).toBe(7)
    expect(wire.after(INBOX)).toBeUndefined()
    wire.subscribed(ROOM, { head: 9 })
    wire.say(...live(8, 9, 10))
    expect(lines).toEqual(['8', '9', '10'])
    expect(handle.info).toMatchObject({ head: 10, n: 10, first: 1, write: true })
  })

  it('ignores an answer to a question that was asked before', async () => {
    const { world, handle, lines, wire } = await room()
    const old = wire.asking(ROOM).rid
    handle.release()
    handle.open()
    await world.settle()
    wire.say({ t: 'subscribed', rid: old, ch: ROOM, head: 3, n: 3 })
    wire.say(...live(4))
    expect(lines).toEqual([])
    wire.subscribed(ROOM, { head: 4 })
    wire.say(...live(5))
    expect(lines).toEqual(['5'])
  })

  it('asks again when no answer comes', async () => {
    const world = new World()
    const client = world.client()
    client.channel(ROOM).open()
    const wire = await world.online(client)
    wire.answer = (frame) => {
      if (frame.t === 'ping') wire.say({ t: 'pong', rid: frame.rid, at: 0 })
    }
    await world.pass(ANSWER_WITHIN)
    expect(wire.all('subscribe')).toHaveLength(2)
  })

  it('does not ask again while the answers to many channels still come', async () => {
    const world = new World()
    const client = world.client()
    for (let number = 0; number < 5; number += 1) client.channel(`conv:c_${number}`).open()
    const wire = await world.online(client)
    for (let number = 0; number < 5; number += 1) {
      await world.pass(ANSWER_WITHIN / 2)
      wire.subscribed(`conv:c_${number}`)
    }
    expect(wire.all('subscribe')).toHaveLength(1)
    wire.answer = (frame) => {
      if (frame.t === 'ping') wire.say({ t: 'pong', rid: frame.rid, at: 0 })
    }
    await world.pass(2 * ANSWER_WITHIN)
    expect(wire.last('subscribe').channels).toEqual([{ ch: INBOX }])
  })

  it('tells what refuses it, and asks again only when opened again', async () => {
    const world = new World()
    const client = world.client()
    const handle = client.channel(ROOM).open()
    const lines = heard(handle)
    const wire = await world.online(client)
    wire.subscribed(INBOX)
    wire.say({ t: 'refused', rid: wire.asking(ROOM).rid, ch: ROOM, code: 'not_found' })
    await world.pass(20_000)
    expect(lines).toEqual(['dropped not_found'])
    expect(wire.all('subscribe')).toHaveLength(1)
    wire.drop(1006)
    const next = await world.again()
    expect(next.last('subscribe').channels).toEqual([{ ch: INBOX, after: 0 }])
    handle.open()
    await world.settle()
    expect(next.last('subscribe').channels).toEqual([{ ch: ROOM }])
  })

  it('asks again by itself after a refusal that passes, also in the middle of a replay', async () => {
    const { world, lines, wire } = await room()
    wire.say({ t: 'refused', rid: wire.asking(ROOM).rid, ch: ROOM, code: 'try_later' })
    await world.pass(10_000)
    expect(wire.all('subscribe')).toHaveLength(2)
    wire.say({ t: 'error', rid: wire.asking(ROOM).rid, code: 'too_often', message: '', retry_after: 2 })
    await world.pass(1_900)
    expect(wire.all('subscribe')).toHaveLength(2)
    await world.pass(10_000)
    expect(wire.all('subscribe')).toHaveLength(3)
    wire.subscribed(ROOM, { head: 1 })
    wire.say(...live(1, 2))
    expect(lines).toEqual(['1', '2'])
  })

  it('tells when the subscription is taken away', async () => {
    const { lines, wire } = await room()
    wire.say({ t: 'dropped', ch: ROOM, code: 'not_found' }, ...live(1))
    expect(lines).toEqual(['dropped not_found'])
  })
})

describe('order', () => {
  it('drops what comes twice', async () => {
    const { lines, wire } = await room()
    wire.say(...live(1, 1, 2, 1, 2, 3))
    expect(lines).toEqual(['1', '2', '3'])
  })

  it('asks again from where it is when a number is missing', async () => {
    const { world, lines, wire } = await room()
    wire.say(...live(1, 3, 4))
    await world.settle()
    expect(lines).toEqual(['1'])
    expect(wire.after(ROOM)).toBe(1)
    wire.subscribed(ROOM, { head: 4 })
    wire.say(...live(2, 3, 4, 5))
    expect(lines).toEqual(['1', '2', '3', '4', '5'])
  })

  it('takes a hole that never closes for a reset, rather than asking for ever', async () => {
    const { world, lines, wire } = await room()
    wire.say(...live(1))
    for (let round = 0; round < 4; round += 1) {
      wire.say(...live(3))
      await world.pass(5_000)
      if (round < 3) wire.subscribed(ROOM, { head: 3 })
    }
    wire.say(...live(4))
    expect(lines).toEqual(['1', 'reset hole', '3', '4'])
    expect(wire.all('subscribe')).toHaveLength(4)
  })
})

describe('resuming', () => {
  it('asks for what came after the last entry it has seen', async () => {
    const { world, lines, wire } = await room({ head: 2 })
    wire.say(...live(3))
    wire.drop(1006)
    const next = await world.again()
    expect(next.after(ROOM)).toBe(3)
    next.subscribed(ROOM, { head: 5 })
    next.say(...live(4, 5, 6))
    expect(lines).toEqual(['3', '4', '5', '6'])
  })

  it('remembers the head it started at, though nothing was said since', async () => {
    const { world, wire } = await room({ head: 12 })
    wire.drop(1006)
    const next = await world.again()
    expect(next.after(ROOM)).toBe(12)
  })

  it.each(['epoch', 'ahead', 'behind', 'rights', 'snapshot'] as const)('resets on a gap: %s', async (gap) => {
    const { world, lines, wire } = await room({ head: 2 })
    wire.drop(1006)
    const next = await world.again()
    next.subscribed(ROOM, { head: 50, n: 40, gap })
    next.say(...live(51))
    expect(lines).toEqual([`reset ${gap}`, '51'])
  })

  it('does not forget a change of epoch when the connection is lost before the channel is answered', async () => {
    const { world, lines, wire } = await room({ head: 2 })
    wire.drop(1006)
    await world.pass(300)
    world.wire.accept()
    expect(world.wire.after(ROOM)).toBe(2)
    world.wire.welcome(LIN, 'e2')
    world.wire.drop(1006)
    await world.pass(600)
    const last = world.wire
    last.accept()
    expect(last.heard[0]).toMatchObject({ epoch: 'e2' })
    expect(last.after(ROOM)).toBeUndefined()
    last.welcome(LIN, 'e2')
    last.subscribed(ROOM, { head: 7 })
    last.say(...live(8))
    expect(lines).toEqual(['reset epoch', '8'])
  })

  it('sees by itself that the log is shorter than it was', async () => {
    const { world, lines, wire } = await room({ head: 9 })
    wire.drop(1006)
    const next = await world.again()
    next.subscribed(ROOM, { head: 3 })
    next.say(...live(4))
    expect(lines).toEqual(['reset ahead', '4'])
  })
})

describe('inbox', () => {
  it('is always subscribed, and tells when people and conversations must be loaded again', async () => {
    const world = new World()
    const client = world.client()
    const lines: string[] = []
    client.on('inbox', ({ seq }) => lines.push(String(seq)))
    client.on('stale', (reason) => lines.push(reason))
    const wire = await world.online(client)
    wire.subscribed(INBOX, { head: 8 })
    wire.say({ t: 'entry', ch: INBOX, entry: entry(9, { by: 'system', kind: 'profile_changed', body: {} }) })
    wire.drop(1006)
    const next = await world.again()
    expect(next.after(INBOX)).toBe(9)
    next.subscribed(INBOX, { head: 1, gap: 'epoch' })
    expect(lines).toEqual(['start', '9', 'epoch'])
  })
})

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
