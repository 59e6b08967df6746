import { describe, expect, it } from 'vitest'
import { ACK_WITHIN } from '../src/outbox.js'
import { ack, refuse, room, states, texts } from './room.js'
import { CLIENT_ID, LIN, MEI, ROOM, World, entry } from './world.js'

const OTHER = 'conv:c_other'

describe('sending', () => {
  it('returns at once, stores, then sends', async () => {
    const { world, handle, wire, storage } = await room()
    const pending = handle.send('message', { text: 'hello' }, 4)
    expect(pending).toMatchObject({ ch: ROOM, kind: 'message', body: { text: 'hello' }, ref: 4, state: 'waiting' })
    expect(pending.at).toBe(world.now)
    expect(pending.id).toMatch(CLIENT_ID)
    expect(wire.all('append')).toEqual([])
    await world.settle()
    expect(await storage.load()).toMatchObject([{ id: pending.id, ch: ROOM }])
    expect(wire.all('append')).toEqual([
      { t: 'append', id: pending.id, ch: ROOM, kind: 'message', body: { text: 'hello' }, ref: 4 },
    ])
    expect(states(handle.pending)).toEqual(['hello sending'])
  })

  it('sends what has an id of its own once, however often it is handed over', async () => {
    const { world, handle, wire } = await room()
    const id = 'AAAAAAAAAAAAAAAAAAAAAA'
    const pending = handle.send('message', { text: 'mine' }, null, id)
    expect(pending.id).toBe(id)
    await world.settle()
    expect(handle.send('message', { text: 'mine' }, null, id)).toMatchObject({ id, state: 'sending' })
    await world.settle()
    expect(wire.all('append')).toHaveLength(1)
    expect(handle.pending).toHaveLength(1)
    const acked = handle.append('message', { text: 'mine' }, null, id)
    ack(wire, 1)
    expect(await acked).toMatchObject({ id, seq: 1 })
    expect(await handle.append('message', { text: 'mine' }, null, id)).toMatchObject({ id, seq: 1 })
    expect(wire.all('append')).toHaveLength(1)
  })

  it('tells of a refusal also who comes later with the same id', async () => {
    const { world, handle, wire } = await room()
    const id = 'BBBBBBBBBBBBBBBBBBBBBB'
    handle.send('message', { text: 'mine' }, null, id)
    await world.settle()
    refuse(wire, 'forbidden')
    await expect(handle.append('message', { text: 'mine' }, null, id)).rejects.toMatchObject({ code: 'forbidden' })
  })

  it('keeps a copy: what the caller does to the body later changes nothing', async () => {
    const { world, handle, wire } = await room()
    const body = { text: 'mine', skipped: undefined }
    handle.send('message', body)
    body.text = 'changed'
    await world.settle()
    expect(texts(wire)).toEqual(['mine'])
  })

  it('shows an acknowledged append until its entry comes, and never both', async () => {
    const { world, client, handle, wire, storage } = await room()
    const shown: string[] = []
    handle.on('pending', (pending) => shown.push(states(pending).join() || 'none'))
    handle.on('entry', (got) => shown.push(`entry ${got.seq}`))
    const { id } = handle.send('message', { text: 'a' })
    await world.settle()
    ack(wire, 1)
    await world.settle()
    expect(handle.pending).toMatchObject([{ state: 'sent', seq: 1 }])
    expect(client.pendingCount).toBe(0)
    expect(await storage.load()).toEqual([])
    wire.say({ t: 'entry', ch: ROOM, entry: entry(1, { by: LIN, id }) })
    expect(shown).toEqual(['a waiting', 'a sending', 'a sent', 'none', 'entry 1'])
  })

  it('takes the entry for the acknowledgement when it comes first', async () => {
    const { world, client, handle, wire } = await room()
    const acked = handle.append('message', { text: 'a' })
    await world.settle()
    const { id } = wire.last('append')
    wire.say({ t: 'entry', ch: ROOM, entry: entry(1, { by: MEI, id }) })
    expect(client.pendingCount).toBe(1)
    wire.say({ t: 'entry', ch: ROOM, entry: entry(2, { by: LIN, id, at: 9 }) })
    expect(handle.pending).toEqual([])
    expect(await acked).toEqual({ t: 'ack', id, ch: ROOM, seq: 2, n: 2, at: 9 })
    ack(wire, 2)
    expect(handle.pending).toEqual([])
  })

  it('recognises its own entry in a page', async () => {
    const { world, handle, wire } = await room()
    const { id } = handle.send('message', { text: 'a' })
    await world.settle()
    const asked = handle.history()
    const page = { ch: ROOM, head: 1, n: 1, first: 1, entries: [entry(1, { by: LIN, id })] }
    wire.say({ t: 'page', rid: wire.last('history').rid, page })
    await asked
    expect(handle.pending).toEqual([])
  })

  it('does not wait for an entry that nobody will be told', async () => {
    const { world, client, handle, wire } = await room()
    client.channel(OTHER).send('message', { text: 'unheard' })
    handle.send('message', { text: 'a' })
    await world.settle()
    ack(wire, 1, { id: wire.all('append')[0]?.id ?? '', ch: OTHER })
    expect(client.pending()).toHaveLength(1)
    ack(wire, 1)
    expect(states(client.pending())).toEqual(['a sent'])
    handle.release()
    expect(client.pending()).toEqual([])
  })

  it('forgets acknowledged appends on a reset: history has them', async () => {
    const { world, handle, wire } = await room()
    handle.send('message', { text: 'a' })
    await world.settle()
    ack(wire, 1)
    wire.drop(1006)
    expect(states(handle.pending)).toEqual(['a sent'])
    const next = await world.again()
    next.subscribed(ROOM, { head: 3, gap: 'behind' })
    expect(handle.pending).toEqual([])
  })

  it('counts what waits', async () => {
    const { world, client, handle, wire } = await room()
    const counts: number[] = []
    client.on('pending', (count) => counts.push(count))
    handle.send('message', { text: 'a' })
    handle.send('message', { text: 'b' })
    await world.settle()
    ack(wire, 1)
    refuse(wire, 'forbidden')
    expect(counts).toEqual([1, 2, 1, 0])
  })
})

describe('order', () => {
  it('has one append per channel on the wire, channels beside each other', async () => {
    const { world, client, handle, wire } = await room()
    for (const text of ['a1', 'a2', 'a3']) handle.send('message', { text })
    client.channel(OTHER).send('message', { text: 'b1' })
    await world.settle()
    expect(texts(wire)).toEqual(['a1', 'b1'])
    ack(wire, 1, { id: wire.all('append')[0]?.id ?? '', ch: ROOM })
    expect(texts(wire)).toEqual(['a1', 'b1', 'a2'])
  })

  it('is kept when an append must be repeated', async () => {
    const { world, handle, wire } = await room()
    handle.send('message', { text: 'first' })
    handle.send('message', { text: 'second' })
    await world.settle()
    refuse(wire, 'try_later', { retry_after: 2 })
    expect(states(handle.pending)).toEqual(['first waiting', 'second waiting'])
    await world.pass(1_900)
    expect(texts(wire)).toEqual(['first'])
    await world.pass(3_000)
    expect(texts(wire)).toEqual(['first', 'first'])
    ack(wire, 1)
    expect(texts(wire)).toEqual(['first', 'first', 'second'])
  })
})

describe('loss', () => {
  it('sends what was on the wire again under the same id, and what waited behind it', async () => {
    const { world, handle, wire } = await room()
    handle.send('message', { text: 'a' })
    handle.send('message', { text: 'b' })
    await world.settle()
    wire.drop(1006)
    expect(states(handle.pending)).toEqual(['a waiting', 'b waiting'])
    handle.send('message', { text: 'c' })
    const next = await world.again()
    expect(next.last('append')).toEqual(wire.last('append'))
    ack(next, 1)
    ack(next, 2)
    ack(next, 3)
    expect(texts(next)).toEqual(['a', 'b', 'c'])
  })

  it('asks again when a living connection gives no answer', async () => {
    const { world, handle, wire } = await room()
    handle.send('message', { text: 'a' })
    await world.pass(ACK_WITHIN)
    expect(texts(wire)).toEqual(['a', 'a'])
    expect(new Set(wire.all('append').map(({ id }) => id)).size).toBe(1)
  })

  it('sends nothing before the welcome', async () => {
    const world = new World()
    const client = world.client()
    client.channel(ROOM).send('message', { text: 'a' })
    client.connect()
    await world.settle()
    world.wire.accept()
    await world.settle()
    expect(world.wire.all('append')).toEqual([])
    world.wire.welcome()
    expect(texts(world.wire)).toEqual(['a'])
  })
})
