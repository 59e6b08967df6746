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
