/**
 * Files that wait to be sent, in the browser's own database: a picture chosen without a connection, or half sent when
 * the page was closed, is sent when the page is back. One small database per person, so that signing out erases it whole.
 */

import { finished, keptOpen } from '@vouch/realtime'

import type { StoredParcel } from '../chat/parcel'

const PARCELS = 'parcels'
const FILES = 'files'
/** Bytes of files kept at once; what does not fit lives as long as its page. */
export const KEPT_MOST = 512 * 1024 * 1024

export interface ParcelShelf {
  /** Everything kept, in any order. */
  load(): Promise<StoredParcel[]>
  has(id: string): Promise<boolean>
  file(thing: string): Promise<Blob | null>
  /** False when there is no room, or the browser keeps nothing. */
  keep(parcel: StoredParcel, files: ReadonlyMap<string, Blob>): Promise<boolean>
  /** Changes what is kept already; the files stay. */
  change(parcel: StoredParcel): Promise<void>
  remove(id: string): Promise<void>
  erase(): Promise<void>
}

function nameFor(person: string): string {
  return `vouch-uploads:${person}`
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('the database failed'))
  })
}

export function openParcelShelf(person: string, most = KEPT_MOST, factory: IDBFactory = indexedDB): ParcelShelf {
  const { open, erase } = keptOpen(factory, nameFor(person), (database) => {
    database.createObjectStore(PARCELS, { keyPath: 'id' })
    database.createObjectStore(FILES)
  })

  async function load(): Promise<StoredParcel[]> {
    const transaction = (await open()).transaction(PARCELS, 'readonly')
    return (await done(transaction.objectStore(PARCELS).getAll())) as StoredParcel[]
  }

  async function change(parcel: StoredParcel): Promise<void> {
    const transaction = (await open()).transaction([PARCELS, FILES], 'readwrite')
    const ended = finished(transaction)
    const parcels = transaction.objectStore(PARCELS)
    const before = (await done(parcels.get(parcel.id))) as StoredParcel | undefined
    if (before) {
      parcels.put(parcel)
      const left = new Set(parcel.things.map(({ id }) => id))
      for (const { id } of before.things) if (!left.has(id)) transaction.objectStore(FILES).delete(id)
    }
    await ended
  }

  async function keep(parcel: StoredParcel, files: ReadonlyMap<string, Blob>): Promise<boolean> {
    try {
      const bytes = (kept: StoredParcel): number => kept.things.reduce((sum, { size }) => sum + size, 0)
      const used = (await load()).reduce((sum, kept) => sum + bytes(kept), 0)
      if (used + bytes(parcel) > most) return false
      const transaction = (await open()).transaction([PARCELS, FILES], 'readwrite')
      const ended = finished(transaction)
      for (const [id, file] of files) transaction.objectStore(FILES).put(file, id)
      transaction.objectStore(PARCELS).put(parcel)
      await ended
      return true
    } catch {
      return false // private windows and full disks: the parcel lives as long as its page
    }
  }

  return {
    load,
    change,
    keep,
    has: async (id) => (await done((await open()).transaction(PARCELS, 'readonly').objectStore(PARCELS).count(id))) > 0,
    file: async (thing) => ((await done((await open()).transaction(FILES, 'readonly').objectStore(FILES).get(thing))) as Blob | undefined) ?? null,
    async remove(id) {
      const transaction = (await open()).transaction([PARCELS, FILES], 'readwrite')
      const ended = finished(transaction)
      const parcel = (await done(transaction.objectStore(PARCELS).get(id))) as StoredParcel | undefined
      for (const thing of parcel?.things ?? []) transaction.objectStore(FILES).delete(thing.id)
      transaction.objectStore(PARCELS).delete(id)
      await ended
    },
    erase,
  }
}
