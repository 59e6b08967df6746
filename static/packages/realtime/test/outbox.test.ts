import { describe, expect, it } from 'vitest'
import type { Client } from '../src/client.js'
import { ACK_WITHIN, INTERNAL_TRIES, MAX_WAITING } from '../src/outbox.js'
import { STORE_WITHIN } from '../src/shelf.js'
import { memoryStorage } from '../src/storage.js'
import type { Storage } from '../src/storage.js'
import type { Tabs } from '../src/tabs.js'
import type { Pending } from '../src/types.js'
import { CLIENT_ID, INBOX, LIN, MEI, ROOM, World, entry } from './world.js'
import type { Wire } from './world.js'

const OTHER = 'conv:c_other'

async function room(storage: Storage = memoryStorage()) {
  const world = new World()
  const client = world.client({ storage })
  const handle = client.channel(ROOM).open()
  const wire = await world.online(client)
  wire.subscribed(INBOX)
  wire.subscribed(ROOM)
  await world.settle()
  return { world, client, handle, wire, storage }
}

function ack(wire: Wire, seq: number, more: { id?: string; ch?: string } = {}): void {
  const { id, ch } = { ...wire.last('append'), ...more }
  wire.say({ t: 'ack', id, ch, seq, n: seq, at: 77 })
}

function refuse(wire: Wire, code: string, more: Record<string, unknown> = {}): void {
  const { id, ch } = wire.last('append')
  wire.say({ t: 'error', code, message: `no: ${code}`, id, ch, ...more })
}

const texts = (wire: Wire): unknown[] => wire.all('append').map((frame) => (frame.body as { text: string }).text)
const states = (pending: readonly Pending[]): string[] => pending.map(({ state, body }) => `${String(body['text'])} ${state}`)

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

describe('refusals', () => {
  it.each(['bad_request', 'forbidden', 'not_found', 'closed', 'too_large', 'idempotency_conflict'])(
    'fails on %s and goes on with the next',
    async (code) => {
      const { world, handle, wire, storage } = await room()
      const failing = expect(handle.append('message', { text: 'a' })).rejects.toMatchObject({ code, field: 'body' })
      handle.send('message', { text: 'b' })
      await world.settle()
      refuse(wire, code, { field: 'body' })
      await failing
      expect(handle.pending).toMatchObject([{ state: 'failed', error: { code, field: 'body' } }, { state: 'sending' }])
      expect(texts(wire)).toEqual(['a', 'b'])
      await world.settle()
      expect(await storage.load()).toMatchObject([{ error: { code } }, { error: null }])
    },
  )

  it.each(['try_later', 'too_often', 'unavailable', 'internal', 'unauthenticated'])('waits on %s', async (code) => {
    const { world, handle, wire } = await room()
    handle.send('message', { text: 'a' })
    await world.settle()
    refuse(wire, code)
    expect(states(handle.pending)).toEqual(['a waiting'])
    await world.pass(2_000)
    expect(texts(wire)).toEqual(['a', 'a'])
  })

  it('sets an append aside on which the server fails again and again', async () => {
    const { world, handle, wire } = await room()
    handle.send('message', { text: 'poison' })
    handle.send('message', { text: 'next' })
    wire.answer = (frame) => {
      if (frame.t === 'ping') wire.say({ t: 'pong', rid: frame.rid, at: 0 })
    }
    await world.settle()
    for (let time = 0; time < INTERNAL_TRIES; time += 1) {
      refuse(wire, 'internal')
      await world.pass(14_000)
    }
    expect(states(handle.pending)).toEqual(['poison failed', 'next sending'])
  })

  it('ignores a late answer to an append that is not on the wire', async () => {
    const { world, handle, wire } = await room()
    handle.send('message', { text: 'a' })
    await world.settle()
    refuse(wire, 'try_later')
    refuse(wire, 'forbidden')
    expect(states(handle.pending)).toEqual(['a waiting'])
  })

  it('retries on demand: under the same id, or a new one when the old one is taken', async () => {
    const { world, client, handle, wire, storage } = await room()
    const { id } = handle.send('message', { text: 'a' })
    await world.settle()
    expect(client.retry(id)).toBe(false)
    refuse(wire, 'forbidden')
    expect(client.retry(id)).toBe(true)
    await world.settle()
    expect(wire.last('append').id).toBe(id)
    refuse(wire, 'idempotency_conflict')
    expect(client.retry(id)).toBe(true)
    await world.settle()
    const renewed = wire.last('append').id
    expect(renewed).not.toBe(id)
    expect((await storage.load()).map((row) => row.id)).toEqual([renewed])
    expect(client.retry('unknown')).toBe(false)
    ack(wire, 1)
    wire.say({ t: 'entry', ch: ROOM, entry: entry(1, { by: LIN, id: renewed }) })
    expect(handle.pending).toEqual([])
  })

  it('discards what failed or waits, not what is on its way', async () => {
    const { world, client, handle, wire, storage } = await room()
    const first = handle.send('message', { text: 'a' })
    const gone = expect(handle.append('message', { text: 'b' })).rejects.toMatchObject({ code: 'aborted' })
    const second = handle.pending[1]?.id ?? ''
    await world.settle()
    expect(client.discard(first.id)).toBe(false)
    expect(client.discard(second)).toBe(true)
    expect(client.discard(second)).toBe(false)
    await gone
    refuse(wire, 'forbidden')
    expect(client.discard(first.id)).toBe(true)
    await world.settle()
    expect(handle.pending).toEqual([])
    expect(await storage.load()).toEqual([])
  })
})

describe('limits', () => {
  it('fails at once what is too large, in bytes', async () => {
    const { world, client, handle, wire } = await room()
    const pending = handle.send('message', { text: '许'.repeat(30_000) })
    expect(pending).toMatchObject({ state: 'failed', error: { code: 'too_large' } })
    expect(client.retry(pending.id)).toBe(true)
    await world.settle()
    expect(wire.all('append')).toEqual([])
    await expect(handle.append('message', { text: 'x'.repeat(70_000) })).rejects.toMatchObject({ code: 'too_large' })
  })

  it('fails what would make the outbox endless, in number and in bytes', async () => {
    const world = new World()
    const handle = world.client().channel(ROOM)
    for (let number = 0; number < MAX_WAITING; number += 1) handle.send('message', { text: 'a' })
    expect(handle.send('message', { text: 'b' })).toMatchObject({ error: { code: 'limit_reached' } })
    const large = new World().client().channel(ROOM)
    const all = Array.from({ length: 140 }, () => large.send('message', { text: 'x'.repeat(64_000) }))
    expect(all.filter(({ state }) => state === 'waiting')).toHaveLength(131)
  })
})

describe('survival', () => {
  const waitingTexts = (client: Client): unknown[] => client.pending().map(({ body }) => body['text'])

  it('sends after a reload what was written before it, first', async () => {
    const storage = memoryStorage()
    const before = new World()
    const handle = before.client({ storage }).channel(ROOM)
    handle.send('message', { text: 'one' })
    handle.send('message', { text: 'two' })
    await before.settle()
    const world = new World()
    world.now = before.now + 60_000
    const client = world.client({ storage })
    client.channel(ROOM).send('message', { text: 'three' })
    await world.settle()
    expect(waitingTexts(client)).toEqual(['one', 'two', 'three'])
    const wire = await world.online(client)
    ack(wire, 1)
    ack(wire, 2)
    ack(wire, 3)
    await world.settle()
    expect(texts(wire)).toEqual(['one', 'two', 'three'])
    expect(await storage.load()).toEqual([])
  })

  it('shows after a reload what had failed', async () => {
    const { world, handle, wire, storage } = await room()
    handle.send('message', { text: 'a' })
    await world.settle()
    refuse(wire, 'closed')
    await world.settle()
    const client = new World().client({ storage })
    await world.settle()
    expect(client.pending()).toMatchObject([{ state: 'failed', error: { code: 'closed' } }])
    expect(client.pendingCount).toBe(0)
  })

  it('takes over from dead tabs only', async () => {
    const storage = memoryStorage()
    const living = new Set(['one', 'two'])
    const tabs = (id: string): Tabs => ({
      id,
      living: (ids) => Promise.resolve(new Set([...ids].filter((tab) => living.has(tab)))),
      alone: (work) => work(),
      close: () => void living.delete(id),
    })
    const world = new World()
    const one = world.client({ storage, tabs: tabs('one') })
    one.channel(ROOM).send('message', { text: 'by one' })
    await world.settle()
    const two = world.client({ storage, tabs: tabs('two') })
    const wire = await world.online(two)
    wire.answer = (frame) => {
      if (frame.t === 'ping') wire.say({ t: 'pong', rid: frame.rid, at: 0 })
    }
    await world.pass(31_000)
    expect(waitingTexts(two)).toEqual([])
    living.delete('one')
    await world.pass(31_000)
    expect(waitingTexts(two)).toEqual(['by one'])
    expect(texts(wire)[0]).toBe('by one')
    expect(await storage.load()).toMatchObject([{ tab: 'two' }])
  })

  it('takes nothing more from others after the start where tabs are unknown', async () => {
    const storage = memoryStorage()
    const world = new World()
    const one = world.client({ storage })
    const two = world.client({ storage })
    await world.settle()
    one.channel(ROOM).send('message', { text: 'by one' })
    await world.settle()
    two.wake()
    await world.settle()
    expect(two.pending()).toEqual([])
  })

  it('erases everything on demand', async () => {
    const { world, client, handle, wire, storage } = await room()
    handle.send('message', { text: 'a' })
    handle.position({ read: 3 })
    await world.settle()
    handle.send('message', { text: 'not even stored yet' })
    await client.forget()
    expect(client.state).toBe('idle')
    expect(client.pendingCount).toBe(0)
    expect(handle.pending).toEqual([])
    expect(await storage.load()).toEqual([])
    expect(wire.left).toBe(1000)
    expect(world.timers).toBe(0)
  })

  it('leaves nothing behind when it is erased while it takes over from a dead tab', async () => {
    const storage = memoryStorage()
    const before = new World()
    before.client({ storage }).channel(ROOM).send('message', { text: 'left behind' })
    await before.settle()
    const slow: Storage = {
      ...storage,
      load: async () => {
        const rows = await storage.load()
        for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
        return rows
      },
    }
    const client = new World().client({ storage: slow })
    await client.forget()
    await before.settle()
    expect(await storage.load()).toEqual([])
    expect(client.pending()).toEqual([])
  })

  it('fails what refers to an entry by number when the numbers mean something else', async () => {
    const { world, client, handle, wire } = await room()
    handle.position({ read: 9 })
    handle.send('edit', { text: 'edited' }, 7)
    handle.send('message', { text: 'new' })
    await world.settle()
    wire.drop(1006)
    await world.pass(300)
    world.wire.accept()
    world.wire.welcome(LIN, 'e2')
    await world.settle()
    expect(client.pending()).toMatchObject([{ state: 'failed', error: { code: 'conflict' } }, { state: 'sending' }])
    expect(texts(world.wire)).toEqual(['new'])
    expect(world.wire.all('position')).toEqual([])
  })

  it('tells those who wait for an acknowledgement when the client ends; the append stays', async () => {
    const { world, client, handle, storage } = await room()
    const closed = expect(handle.append('message', { text: 'a' })).rejects.toMatchObject({ code: 'closed' })
    await world.settle()
    client.close()
    await closed
    expect(await storage.load()).toHaveLength(1)
  })
})

describe('a storage that does not work', () => {
  const broken = (fault: () => Promise<never>): Storage => ({ load: fault, put: fault, remove: fault, erase: fault })

  it('is reported, and costs nothing but the survival of a reload', async () => {
    const { world, client, handle, wire } = await room(broken(() => Promise.reject(new Error('quota'))))
    const faults: unknown[] = []
    client.on('fault', (what) => faults.push(what))
    handle.send('message', { text: 'a' })
    await world.settle()
    expect(texts(wire)).toEqual(['a'])
    ack(wire, 1)
    await world.settle()
    expect(faults).toEqual(['storage', 'storage'])
  })

  it('is not waited for for long', async () => {
    const storage = memoryStorage()
    const { world, handle, wire } = await room({ ...storage, put: () => new Promise<void>(() => undefined) })
    handle.send('message', { text: 'a' })
    await world.pass(STORE_WITHIN - 1)
    expect(texts(wire)).toEqual([])
    await world.pass(1)
    expect(texts(wire)).toEqual(['a'])
  })
})
