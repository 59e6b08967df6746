import { describe, expect, it, vi } from 'vitest'
import { memoryStorage } from '../src/storage.js'
import { lockedTabs, loneTab } from '../src/tabs.js'
import { Locks } from './locks.js'
import { Hub } from './hub.js'
import { LIN, MEI, ROOM, World } from './world.js'

describe('tabs known by locks', () => {
  it('live until they are closed, each for one person', async () => {
    const locks = new Locks()
    const one = lockedTabs(LIN, 'one', locks.manager)
    const two = lockedTabs(LIN, 'two', locks.manager)
    lockedTabs(MEI, 'three', locks.manager)
    const all = new Set(['one', 'two', 'three'])
    expect(await two.living(all)).toEqual(new Set(['one', 'two']))
    one.close()
    await vi.waitFor(async () => expect(await two.living(all)).toEqual(new Set(['two'])))
  })

  it('work alone, one after the other, also after a fault', async () => {
    const locks = new Locks()
    const steps: string[] = []
    const work = (name: string, fault = false) => async (): Promise<void> => {
      steps.push(`${name} begins`)
      await Promise.resolve()
      steps.push(`${name} ends`)
      if (fault) throw new Error(name)
    }
    const one = lockedTabs(LIN, 'one', locks.manager).alone(work('one', true))
    const two = lockedTabs(LIN, 'two', locks.manager).alone(work('two'))
    await expect(one).rejects.toThrow('one')
    await two
    expect(steps).toEqual(['one begins', 'one ends', 'two begins', 'two ends'])
  })

  it('are unknown where locks are not allowed', async () => {
    const locks = new Locks()
    locks.allowed = false
    expect(await lockedTabs(LIN, 'one', locks.manager).living(new Set(['two']))).toBeNull()
    expect(await loneTab('one').living(new Set(['two']))).toBeNull()
  })
})

describe('two tabs of one person', () => {
  it('send each their own, and the survivor what the dead one left, in order and once', async () => {
    const world = new World()
    const locks = new Locks()
    const storage = memoryStorage()
    const hub = new Hub()
    const dying = lockedTabs(LIN, 'dying', locks.manager)
    const first = world.client({ storage, tabs: dying })
    for (const text of ['one', 'two', 'three']) first.channel(ROOM).send('message', { text })
    await world.settle()
    const second = world.client({ storage, tabs: lockedTabs(LIN, 'living', locks.manager) })
    second.channel(ROOM).send('message', { text: 'four' })
    second.connect()
    hub.attach(world.wire)
    await world.settle()
    expect(hub.log(ROOM).map((entry) => entry.body['text'])).toEqual(['four'])
    dying.close()
    await world.pass(31_000)
    expect(hub.log(ROOM).map((entry) => entry.body['text'])).toEqual(['four', 'one', 'two', 'three'])
    expect(await storage.load()).toEqual([])
    // The dead tab was only asleep: it sends again under the same ids, and the log takes nothing twice.
    first.connect()
    hub.attach(world.wire)
    await world.pass(5_000)
    expect(hub.log(ROOM)).toHaveLength(4)
    expect(first.pending()).toEqual([])
    expect(await storage.load()).toEqual([])
  })
})
