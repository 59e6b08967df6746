/** The storage as the outbox uses it: in order per append, never throwing, never keeping anybody waiting for long. */

import type { Environment } from './environment.js'
import type { Storage, StoredAppend } from './storage.js'

/** Milliseconds after which an append is sent though it is not stored: a hanging database must not silence a chat. */
export const STORE_WITHIN = 3_000

export class Shelf {
  readonly #environment: Environment
  readonly #storage: Storage
  readonly #fault: (what: string, detail: unknown) => void
  /** The last operation per id. */
  readonly #running = new Map<string, Promise<void>>()

  constructor(environment: Environment, storage: Storage, fault: (what: string, detail: unknown) => void) {
    this.#environment = environment
    this.#storage = storage
    this.#fault = fault
  }

  load(): Promise<StoredAppend[]> {
    return this.#storage.load()
  }

  /** `then` runs once it is safe; or when storing fails or hangs, which costs the survival of a reload only. */
  put(row: StoredAppend, then: () => void = () => undefined): void {
    let told = false
    const tell = (): void => {
      if (told) return
      told = true
      giveUp()
      then()
    }
    const giveUp = this.#environment.after(STORE_WITHIN, () => {
      this.#fault('storage', 'slow')
      tell()
    })
    void this.#queue(row.id, () => this.#storage.put(row)).then(tell)
  }

  remove(id: string): void {
    void this.#queue(id, () => this.#storage.remove(id))
  }

  async erase(): Promise<void> {
    await Promise.all(this.#running.values())
    await this.#storage.erase()
  }

  #queue(id: string, work: () => Promise<void>): Promise<void> {
    const before = this.#running.get(id) ?? Promise.resolve()
    const run = before.then(work).catch((fault: unknown) => this.#fault('storage', fault))
    this.#running.set(id, run)
    return run.then(() => {
      if (this.#running.get(id) === run) this.#running.delete(id)
    })
  }
}
