/** Where pictures stand when several are shown together: rows that are as wide as the block, in their order. Pure. */

export interface Measures {
  readonly width?: number
  readonly height?: number
}

/** Width ÷ height of a tile: nothing is shown as a thread. Pictures of unknown size are square. */
export function ratioOf({ width = 0, height = 0 }: Measures, least = 0.6, most = 1.9): number {
  return width > 0 && height > 0 ? Math.min(most, Math.max(least, width / height)) : 1
}

/** Width ÷ height that a row should have: pictures side by side are neither stamps nor posters. */
const ROW = 2.3
const IN_ROW = 4

function cost(ratio: number): number {
  return Math.log(ratio / ROW) ** 2
}

/** The indexes of each row. Of all ways to cut the sequence, the one whose rows come nearest to the wanted proportions. */
export function mosaic(media: readonly Measures[]): number[][] {
  const ratios = media.map((each) => ratioOf(each))
  /** For the first n: the least cost, and how long the last row is. */
  const best: { cost: number; row: number }[] = [{ cost: 0, row: 0 }]
  for (let n = 1; n <= ratios.length; n += 1) {
    let chosen = { cost: Number.POSITIVE_INFINITY, row: 1 }
    let width = 0
    for (let row = 1; row <= Math.min(IN_ROW, n); row += 1) {
      width += ratios[n - row] ?? 1
      const total = (best[n - row]?.cost ?? 0) + cost(width)
      if (total < chosen.cost) chosen = { cost: total, row }
    }
    best.push(chosen)
  }
  const rows: number[][] = []
  for (let n = ratios.length; n > 0; ) {
    const row = best[n]?.row ?? 1
    rows.unshift(Array.from({ length: row }, (_, at) => n - row + at))
    n -= row
  }
  return rows
}

/** How large one picture is shown: whole, within the block, and never so small that it cannot be pressed. CSS pixels. */
export function alone({ width = 0, height = 0 }: Measures, widest: number, highest: number): { width: number; ratio: number } {
  if (width <= 0 || height <= 0) return { width: Math.min(widest, 240), ratio: 1 }
  const ratio = ratioOf({ width, height }, 0.4, 3.2)
  const scaled = Math.min(widest, width, highest * ratio)
  return { width: Math.round(Math.max(scaled, Math.min(widest, 120))), ratio }
}
