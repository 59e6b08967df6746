import { IDBFactory } from 'fake-indexeddb'
import { describe, expect, it, vi } from 'vitest'
import { indexedDbStorage } from '../src/indexeddb.js'
import { memoryStorage } from '../src/storage.js'
import type { Storage, StoredAppend } from '../src/storage.js'
import { LIN, MEI, ROOM } from './world.js'

function row(id: string, more: Partial<StoredAppend> = {}): StoredAppend {
  return { id, ch: ROOM, kind: 'message', body: { text: id }, ref: null, at: 1, order: 1, tab: 't', error: null, ...more }
}

const ids = async (storage: Storage): Promise<string[]> => (await storage.load()).map(({ id }) => id).sort()

describe.each<[string, () => Storage]>([
  ['memory', memoryStorage],
  ['IndexedDB', () => indexedDbStorage(LIN, new IDBFactory())],
])('%s', (_, make) => {
  it('keeps, replaces and removes', async () => {
    const storage = make()
    expect(await storage.load()).toEqual([])
    await storage.put(row('a'))
    await storage.put(row('b', { error: { code: 'closed', message: 'no' }, ref: 4 }))
    await storage.put(row('a', { order: 7 }))
    await storage.remove('unknown')
    expect((await storage.load()).sort((one, two) => (one.id < two.id ? -1 : 1))).toEqual([
      row('a', { order: 7 }),
      row('b', { error: { code: 'closed', message: 'no' }, ref: 4 }),
    ])
    await storage.remove('a')
    expect(await ids(storage)).toEqual(['b'])
  })

  it('erases all and can be used again', async () => {
    const storage = make()
    await storage.put(row('a'))
    await storage.erase()
    expect(await ids(storage)).toEqual([])
    await storage.put(row('b'))
    expect(await ids(storage)).toEqual(['b'])
  })

  it('gives away copies', async () => {
    const storage = make()
    const given = row('a')
    await storage.put(given)
    given.body['text'] = 'changed'
    const [got] = await storage.load()
    if (got) got.body['text'] = 'changed as well'
    expect((await storage.load())[0]?.body).toEqual({ text: 'a' })
  })
})

describe('IndexedDB', () => {
  it('is one database per person, shared by the tabs, and outlives them', async () => {
    const factory = new IDBFactory()
    await indexedDbStorage(LIN, factory).put(row('a'))
    await indexedDbStorage(MEI, factory).put(row('b'))
    expect(await ids(indexedDbStorage(LIN, factory))).toEqual(['a'])
    expect(await ids(indexedDbStorage(MEI, factory))).toEqual(['b'])
  })

  it('erases though another tab holds it open, and leaves no database behind', async () => {
    const factory = new IDBFactory()
    const [one, two] = [indexedDbStorage(LIN, factory), indexedDbStorage(LIN, factory)]
    await one.put(row('a'))
    expect(await ids(two)).toEqual(['a'])
    await one.erase()
    await vi.waitFor(async () => expect(await factory.databases()).toEqual([]))
    expect(await ids(two)).toEqual([])
  })

  it('rejects when it cannot be opened, and tries anew the next time', async () => {
    const factory = new IDBFactory()
    let broken = true
    const flaky = {
      open: (name: string, version: number) => {
        // A version below the present one is refused, like a database that the browser does not let us have.
        return factory.open(name, broken ? 1 : version)
      },
      deleteDatabase: (name: string) => factory.deleteDatabase(name),
    } as unknown as IDBFactory
    await new Promise((resolve) => {
      factory.open(`vouch-outbox:${LIN}`, 5).onsuccess = (event) => {
        ;(event.target as IDBOpenDBRequest).result.close()
        resolve(null)
      }
    })
    const storage = indexedDbStorage(LIN, flaky)
    await expect(storage.load()).rejects.toMatchObject({ name: 'VersionError' })
    await new Promise((resolve) => {
      factory.deleteDatabase(`vouch-outbox:${LIN}`).onsuccess = resolve
    })
    broken = false
    expect(await storage.load()).toEqual([])
  })

  it('rejects what cannot be stored', async () => {
    const storage = indexedDbStorage(LIN, new IDBFactory())
    await expect(storage.put(row('a', { body: { text: () => 'no data' } }))).rejects.toMatchObject({
      name: 'DataCloneError',
    })
  })
})
