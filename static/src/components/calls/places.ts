/**
 * Where each tile of a call stands. Pure: sizes in, rectangles out (pixels). Three ways: `grid`, all alike; `speaker`, one large and the
 * others in a strip; `wall`, those whom one watches, close together, and oneself small in the corner.
 */

export type Way = 'grid' | 'speaker' | 'wall'

export interface Place {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  /** Too small for more than a name: the small picture of a camera is enough. */
  readonly small: boolean
  /** It lies upon another one. */
  readonly corner: boolean
}

export interface Placement {
  readonly places: ReadonlyMap<string, Place>
  readonly page: number
  readonly pages: number
}

export interface Placed {
  readonly key: string
  readonly own: boolean
  readonly screen: boolean
}

export interface Wishes {
  readonly way: Way
  readonly width: number
  readonly height: number
  readonly page: number
  /** The tile that somebody has chosen, and the one of whoever speaks or has spoken last. */
  readonly pinned: string | null
  readonly speaker: string | null
}

const GAP = 8
const WIDEST = 16 / 9
const NARROWEST = 3 / 4
/** Narrower than this is a phone. */
const PHONE = 600
/** As many tiles as one page has at most: a watching connection has no room for more. */
const MOST = { phone: 8, wide: 12 } as const
/** On a wall more are seen at once, each smaller. */
const WALL = { phone: 8, wide: 14 } as const
const STRIP = { phone: 116, wide: 188 } as const
/** Below this width a tile is a small one. */
const SMALL = 260

const NOWHERE: Placement = { places: new Map(), page: 0, pages: 1 }

interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** The largest rectangle of a bearable shape in a cell. */
function fitted(width: number, height: number): { width: number; height: number } {
  if (width / height > WIDEST) return { width: height * WIDEST, height }
  if (width / height < NARROWEST) return { width, height: width / NARROWEST }
  return { width, height }
}

/** So many alike in a box, as large as they can be; the last row stands in the middle. */
export function cells(count: number, box: Box): Box[] {
  let best = { area: -1, columns: 1, width: 0, height: 0 }
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns)
    const { width, height } = fitted((box.width - GAP * (columns - 1)) / columns, (box.height - GAP * (rows - 1)) / rows)
    if (width > 0 && height > 0 && width * height > best.area) best = { area: width * height, columns, width, height }
  }
  const rows = Math.ceil(count / best.columns)
  const top = box.y + (box.height - rows * best.height - GAP * (rows - 1)) / 2
  return Array.from({ length: count }, (_, at) => {
    const row = Math.floor(at / best.columns)
    const inRow = Math.min(best.columns, count - row * best.columns)
    const left = box.x + (box.width - inRow * best.width - GAP * (inRow - 1)) / 2
    return { x: left + (at % best.columns) * (best.width + GAP), y: top + row * (best.height + GAP), width: best.width, height: best.height }
  })
}

/** So many things on pages of at most `most`: those of the wanted page, which may be gone by now. */
function paged<T>(all: readonly T[], most: number, wanted: number): { shown: readonly T[]; page: number; pages: number } {
  const pages = Math.max(1, Math.ceil(all.length / most))
  const page = Math.min(Math.max(0, wanted), pages - 1)
  return { shown: all.slice(page * most, page * most + most), page, pages }
}

const smallIn = (box: Box): boolean => box.width < SMALL

function laid(tiles: readonly Placed[], boxes: readonly Box[], places: Map<string, Place>): void {
  tiles.forEach((tile, at) => {
    const box = boxes[at]
    if (box) places.set(tile.key, { ...box, small: smallIn(box), corner: false })
  })
}

function cornerOf({ width, height }: Wishes): Box {
  const tall = width < PHONE
  const size = tall ? { width: 96, height: 128 } : { width: 208, height: 117 }
  return { x: width - size.width - GAP, y: height - size.height - GAP, ...size }
}

export function placed(tiles: readonly Placed[], wishes: Wishes): Placement {
  const { width, height } = wishes
  const phone = width < PHONE
  const most = phone ? MOST.phone : MOST.wide
  if (tiles.length === 0 || width <= 0 || height <= 0) return NOWHERE
  const whole: Box = { x: 0, y: 0, width, height }
  const places = new Map<string, Place>()
  const own = tiles.filter((tile) => tile.own && !tile.screen)
  const others = tiles.filter((tile) => !tile.own || tile.screen)

  // Alone, one sees oneself in the corner, and behind it whom it rings at.
  if (others.length === 0 && own[0]) {
    places.set(own[0].key, { ...cornerOf(wishes), small: true, corner: true })
    return { places, page: 0, pages: 1 }
  }
  // Between two, the other one has the stage, and oneself the corner.
  const cornered = own.length === 1 && tiles.length === 2
  if (cornered && wishes.pinned !== own[0]?.key) {
    laid(others, [whole], places)
    if (own[0]) places.set(own[0].key, { ...cornerOf(wishes), small: true, corner: true })
    return { places, page: 0, pages: 1 }
  }
  if (wishes.way === 'wall' && others.length > 1) return onWall(others, own, wishes, places)
  if (wishes.way === 'speaker' && tiles.length > 1) return withSpeaker(tiles, wishes, places)
  const { shown, page, pages } = paged([...others, ...own], most, wishes.page)
  laid(shown, shown.length === 1 ? [whole] : cells(shown.length, whole), places)
  return { places, page, pages }
}

/** Those whom one watches fill the stage; below it stands a narrow line with oneself at its end. */
function onWall(others: readonly Placed[], own: readonly Placed[], wishes: Wishes, places: Map<string, Place>): Placement {
  const { width, height } = wishes
  const self = width < PHONE ? { width: 72, height: 54 } : { width: 144, height: 81 }
  const { shown, page, pages } = paged(others, width < PHONE ? WALL.phone : WALL.wide, wishes.page)
  laid(shown, cells(shown.length, { x: 0, y: 0, width, height: height - self.height - GAP }), places)
  if (own[0]) places.set(own[0].key, { x: width - self.width, y: height - self.height, ...self, small: true, corner: false })
  return { places, page, pages }
}

/** One large: who was chosen, else a screen, else whoever speaks; the others beside it, or below where it is narrow. */
function withSpeaker(tiles: readonly Placed[], wishes: Wishes, places: Map<string, Place>): Placement {
  const { width, height, pinned, speaker } = wishes
  const find = (key: string | null): Placed | undefined => tiles.find((tile) => tile.key === key)
  const main = find(pinned) ?? tiles.find((tile) => tile.screen && !tile.own) ?? find(speaker) ?? tiles.find((tile) => !tile.own) ?? tiles[0]
  const rest = tiles.filter((tile) => tile !== main)
  const beside = width > height * 1.2
  const strip = width < PHONE ? STRIP.phone : STRIP.wide
  const along = beside ? height : width
  const each = beside ? (strip * 9) / 16 : strip * (width < PHONE ? 0.8 : 16 / 9)
  const { shown, page, pages } = paged(rest, Math.max(1, Math.min(MOST.wide - 1, Math.floor((along + GAP) / (each + GAP)))), wishes.page)
  const thickness = beside ? strip : strip * (width < PHONE ? 1 : 0.6)
  const large: Box = beside ? { x: 0, y: 0, width: width - thickness - GAP, height } : { x: 0, y: 0, width, height: height - thickness - GAP }
  if (main) places.set(main.key, { ...large, small: false, corner: false })
  const length = shown.length * each + GAP * (shown.length - 1)
  const begin = Math.max(0, (along - length) / 2)
  shown.forEach((tile, at) => {
    const offset = begin + at * (each + GAP)
    const box: Box = beside ? { x: width - thickness, y: offset, width: thickness, height: each } : { x: offset, y: height - thickness, width: each, height: thickness }
    places.set(tile.key, { ...box, small: true, corner: false })
  })
  return { places, page, pages }
}

/** The ways that make sense for so many; the first is the one to begin with. */
export function waysFor(others: number, watches: boolean): readonly Way[] {
  if (others < 2) return ['grid']
  return watches ? ['wall', 'grid', 'speaker'] : ['grid', 'speaker', 'wall']
}
