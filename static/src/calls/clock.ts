/** Time and chance, so that tests have their own. */

export interface Clock {
  /** Milliseconds. */
  now(): number
  /** Runs it once, after so many milliseconds, unless the answer is called before. */
  after(milliseconds: number, run: () => void): () => void
  /** 0 … 1 */
  random(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds)
    return () => clearTimeout(timer)
  },
  random: Math.random,
}

/** Things to be done later, each under a name: a new one takes the place of the one before. */
export class Timers {
  readonly #all = new Map<string, ReturnType<typeof setTimeout>>()
  #over = false

  later(name: string, wait: number, run: () => void): void {
    this.forget(name)
    if (!this.#over) this.#all.set(name, setTimeout(run, wait))
  }

  forget(name: string): void {
    clearTimeout(this.#all.get(name))
    this.#all.delete(name)
  }

  close(): void {
    this.#over = true
    for (const name of [...this.#all.keys()]) this.forget(name)
  }
}
