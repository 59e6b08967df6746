/** How good the lines are: what the server tells of each person's, and what one's own connection tells of the way there. Pure. */

/** A word that was not said again within so many milliseconds is forgotten. The server says it every 2 s. */
const FRESH = 10_000

/** Percent of loss from which a line is fair, and poor; it must be better than that by a third to be called better again. */
const FAIR = 3
const POOR = 10
const BETTER = 2 / 3

export type Quality = 'good' | 'fair' | 'poor' | 'unknown'

/** `before`: as it was called; a line at the border does not flicker. */
export function qualityFrom(loss: number | undefined, before: Quality = 'unknown'): Quality {
  if (loss === undefined || Number.isNaN(loss)) return 'unknown'
  if (loss >= (before === 'poor' ? POOR * BETTER : POOR)) return 'poor'
  return loss >= (before === 'good' || before === 'unknown' ? FAIR : FAIR * BETTER) ? 'fair' : 'good'
}

/** The loss of each person's line in percent: the worse of both ways, while it is fresh. */
export class Lines {
  readonly #told = new Map<string, { readonly loss: number; readonly at: number }>()

  /** `way` tells apart what the server says and what one measures oneself. */
  tell(person: string, way: 'down' | 'up', loss: number, now: number): void {
    if (Number.isFinite(loss)) this.#told.set(`${way}:${person}`, { loss: Math.min(100, Math.max(0, loss)), at: now })
  }

  loss(person: string, now: number): number | undefined {
    const fresh = (['down', 'up'] as const).flatMap((way) => {
      const told = this.#told.get(`${way}:${person}`)
      return told && now - told.at <= FRESH ? [told.loss] : []
    })
    return fresh.length === 0 ? undefined : Math.max(...fresh)
  }

  people(): string[] {
    return [...new Set([...this.#told.keys()].map((key) => key.slice(key.indexOf(':') + 1)))]
  }
}

/** Percent of loss of what one sends, as the server has reported it: the worst of the lines that something flows in. */
export function lossOf(report: Iterable<Readonly<Record<string, unknown>>>): number | null {
  let worst: number | null = null
  for (const each of report) {
    const lost = each['fractionLost']
    if (each['type'] === 'remote-inbound-rtp' && typeof lost === 'number') worst = Math.max(worst ?? 0, lost * 100)
  }
  return worst
}
