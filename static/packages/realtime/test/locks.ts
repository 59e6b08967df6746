/** Web Locks as browsers have them: exclusive, first come first served, held until the callback's promise ends. */

export class Locks {
  readonly #held = new Map<string, Promise<unknown>>()
  allowed = true

  async request(name: string, work: () => unknown): Promise<unknown> {
    if (!this.allowed) throw new DOMException('not here', 'SecurityError')
    const before = this.#held.get(name) ?? Promise.resolve()
    const run = before.then(work)
    const quiet = run.catch(() => undefined)
    this.#held.set(name, quiet)
    try {
      return await run
    } finally {
      if (this.#held.get(name) === quiet) this.#held.delete(name)
    }
  }

  query(): Promise<{ held: { name: string }[] }> {
    if (!this.allowed) return Promise.reject(new DOMException('not here', 'SecurityError'))
    return Promise.resolve({ held: [...this.#held.keys()].map((name) => ({ name })) })
  }

  get manager(): LockManager {
    return this as unknown as LockManager
  }
}
