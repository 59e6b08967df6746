import { describe, expect, it } from 'vitest'
import type { Client } from '../src/client.js'
import { STORE_WITHIN } from '../src/shelf.js'
import { memoryStorage } from '../src/storage.js'
import type { Storage } from '../src/storage.js'
import type { Tabs } from '../src/tabs.js'
import { ack, refuse, room, texts } from './room.js'
import { LIN, ROOM, World } from './world.js'

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
    const { world, client, handle, wire } = await room({}, broken(() => Promise.reject(new Error('quota'))))
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
    const { world, handle, wire } = await room({}, { ...storage, put: () => new Promise<void>(() => undefined) })
    handle.send('message', { text: 'a' })
    await world.pass(STORE_WITHIN - 1)
    expect(texts(wire)).toEqual([])
    await world.pass(1)
    expect(texts(wire)).toEqual(['a'])
  })
})
