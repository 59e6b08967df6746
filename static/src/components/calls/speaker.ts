/** Who has the large place while people speak. Pure; times are milliseconds. */

export interface Large {
  readonly key: string | null
  /** When they got it, and when they were last heard. */
  readonly since: number
  readonly heard: number
}

export const NOBODY: Large = { key: null, since: 0, heard: 0 }

/** Nobody loses the place sooner: what jumps can neither be watched nor be touched. */
const HELD = 2_000
/** Between two words one still speaks. */
const PAUSE = 1_000

/** `speaking`: who is heard now; `there`: who could have the place. Whoever speaks keeps it, also when others fall in. */
export function largeNext(large: Large, speaking: readonly string[], there: readonly string[], now: number): Large {
  const [next] = speaking
  if (large.key === null || !there.includes(large.key)) return next === undefined ? NOBODY : { key: next, since: now, heard: now }
  if (speaking.includes(large.key)) return { ...large, heard: now }
  if (next === undefined || now - large.since < HELD || now - large.heard < PAUSE) return large
  return { key: next, since: now, heard: now }
}
