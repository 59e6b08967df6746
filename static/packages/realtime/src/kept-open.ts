/**
 * A browser database that stays open: opened at the first use, and again after another tab has erased it or the browser
 * has taken it away. A fault is told to whoever asked, and the next use tries anew.
 */
export interface KeptOpen {
  open(): Promise<IDBDatabase>
  /** Clears everything, then deletes the database: that waits for other tabs that still hold it open. */
  erase(): Promise<void>
}

export function keptOpen(factory: IDBFactory, name: string, make: (database: IDBDatabase) => void): KeptOpen {
  let opening: Promise<IDBDatabase> | null = null

  function open(): Promise<IDBDatabase> {
    opening ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = factory.open(name, 1)
      request.onupgradeneeded = () => make(request.result)
      request.onerror = () => reject(request.error ?? new Error('the database failed'))
      request.onsuccess = () => {
        const database = request.result
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

  async function erase(): Promise<void> {
    const database = await open()
    const stores = [...database.objectStoreNames]
    const transaction = database.transaction(stores, 'readwrite')
    const ended = finished(transaction)
    for (const store of stores) transaction.objectStore(store).clear()
    await ended
    database.close()
    opening = null
    factory.deleteDatabase(name)
  }

  return { open, erase }
}

/** Resolved by the transaction, not by its requests: only then is it safe. */
export function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? new Error('the database failed'))
  })
}
