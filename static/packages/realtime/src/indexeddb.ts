/** The outbox in the browser's own database: one small database per person, so that signing out can erase it whole. */

import type { Storage, StoredAppend } from './storage.js'

const STORE = 'outbox'

function nameFor(person: string): string {
  return `vouch-outbox:${person}`
}

export function indexedDbStorage(person: string, factory: IDBFactory = indexedDB): Storage {
  let opening: Promise<IDBDatabase> | null = null

  function open(): Promise<IDBDatabase> {
    opening ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = factory.open(nameFor(person), 1)
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' })
      request.onerror = () => reject(request.error)
      request.onsuccess = () => {
        const database = request.result
        // Another tab erases, or the browser takes the database away: the next use opens it again.
        database.onversionchange = () => {
          database.close()
          opening = null
        }
        database.onclose = () => {
          opening = null
        }
        resolve(database)
      }
    }).catch((fault: unknown) => {
      opening = null
      throw fault
    })
    return opening
  }

  async function run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const database = await open()
    return new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode)
      const request = work(transaction.objectStore(STORE))
      // Resolved by the transaction, not by the request: only then is it safe.
      transaction.oncomplete = () => resolve(request.result)
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error)
    })
  }

  return {
    load: () => run<StoredAppend[]>('readonly', (store) => store.getAll() as IDBRequest<StoredAppend[]>),
    put: async (append) => void (await run('readwrite', (store) => store.put(append))),
    remove: async (id) => void (await run('readwrite', (store) => store.delete(id))),
    async erase() {
      // Cleared first: deleting the database waits for other tabs that still hold it open.
      await run('readwrite', (store) => store.clear())
      const database = await open()
      database.close()
      opening = null
      factory.deleteDatabase(nameFor(person))
    },
  }
}
