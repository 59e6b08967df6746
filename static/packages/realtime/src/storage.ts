/** Where unsent appends are kept. One storage holds one person's. */

import type { FaultCode } from './faults.js'

export interface StoredAppend {
  readonly id: string
  readonly ch: string
  readonly kind: string
  readonly body: Record<string, unknown>
  readonly ref: number | null
  /** When it was written, milliseconds. */
  readonly at: number
  /** Appends of one channel are sent by rising order. */
  readonly order: number
  /** The tab that sends it, while that tab lives. */
  readonly tab: string
  readonly error: { readonly code: FaultCode; readonly message: string; readonly field?: string } | null
}

export interface Storage {
  /** Everything stored, in any order. */
  load(): Promise<StoredAppend[]>
  /** Inserts, or replaces what has the same id. Resolves when it is safe. */
  put(append: StoredAppend): Promise<void>
  /** Nothing happens when there is none. */
  remove(id: string): Promise<void>
  /** Erases all of the person's. The storage may be used again. */
  erase(): Promise<void>
}

/** Keeps nothing beyond the life of the program. Give the same one to two clients to play two tabs, or a restart. */
export function memoryStorage(): Storage {
  const rows = new Map<string, StoredAppend>()
  return {
    load: () => Promise.resolve([...rows.values()].map((row) => structuredClone(row))),
    put: (append) => Promise.resolve(void rows.set(append.id, structuredClone(append))),
    remove: (id) => Promise.resolve(void rows.delete(id)),
    erase: () => Promise.resolve(rows.clear()),
  }
}
