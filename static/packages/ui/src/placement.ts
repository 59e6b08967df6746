/** Where something that floats stands beside what it belongs to. Pure. */

export interface Box {
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

export interface Size {
  readonly width: number
  readonly height: number
}

/** Pixels to the edges of the screen, and between the two. */
const MARGIN = 8
const GAP = 4

/**
 * The left upper corner: below its anchor if there is room, else above; at its `end` or `start` edge, and never beyond
 * the screen.
 */
export function placeBeside(anchor: Box, floating: Size, screen: Size, side: 'start' | 'end' = 'end'): { left: number; top: number } {
  const below = anchor.bottom + GAP + floating.height <= screen.height - MARGIN
  const above = anchor.top - GAP - floating.height >= MARGIN
  const lowest = Math.max(MARGIN, screen.height - MARGIN - floating.height)
  const top = below ? anchor.bottom + GAP : above ? Math.min(anchor.top - GAP - floating.height, lowest) : lowest
  const wanted = side === 'end' ? anchor.right - floating.width : anchor.left
  const left = Math.min(Math.max(MARGIN, wanted), Math.max(MARGIN, screen.width - floating.width - MARGIN))
  return { left, top }
}
