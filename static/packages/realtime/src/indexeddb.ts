/** The outbox in the browser's own database: one small database per person, so that signing out can erase it whole. */

import { keptOpen } from './kept-open.js'
import type { Storage, StoredAppend } from './storage.js'

const STORE = 'outbox'

function nameFor(person: string): string {
  return `vouch-outbox:${person}`
}

export function indexedDbStorage(person: string, factory: IDBFactory = indexedDB): Storage {
  const { open, erase } = keptOpen(factory, nameFor(person), (database) => database.createObjectStore(STORE, { keyPath: 'id' }))

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
    erase,
  }
}
