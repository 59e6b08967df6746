/**
 * A long strip of rows behind a window: which of them have to be drawn, how much room the others take, and where the
 * window must stand so that what somebody looks at stays where it is. Pure arithmetic; MessageList.vue gives it what
 * the browser measures, and does what it says.
 *
 * Rows that were never drawn have estimated heights. When the truth comes out above the window, everything below would
 * move. Moving the window along interrupts a scroll that is under way, so meanwhile the room above takes up the
 * difference (`drift`); once the scrolling rests, the window moves and the room is right again.
 */

import { Heights } from './heights'

export interface StripRow {
  readonly key: string
}

export interface StripWays<Row extends StripRow> {
  /** Whether the eye can hold on to it: it stands for something, and stays when others come. */
  firm(row: Row): boolean
  /** Pixels, at this width of the window. */
  estimate(row: Row, width: number): number
}

/** An edge of a row, and how far below the upper edge of the window it shall stay. */
interface Hold {
  readonly key: string
  readonly edge: 'top' | 'bottom'
  readonly offset: number
  /** Where the row was when we looked last. */
  readonly at: number
}

/** Pixels from the end that still count as being there. */
const NEAR = 48
/** Drawn beyond the window, as a part of its height; at least these pixels. */
const BEYOND = 0.75
const BEYOND_LEAST = 400

export class Strip<Row extends StripRow> {
  rows: readonly Row[] = []
  /** Drawn are the rows from `first` to the one before `last`. */
  first = 0
  last = 0
  /** At the end of the strip, and staying there whatever comes. */
  stuck = true
  /** Whether there is such an end: more rows may follow that are not here yet. */
  #ends = true

  readonly #ways: StripWays<Row>
  /** Measured, else estimated. */
  readonly #known = new Map<string, number>()
  #heights = new Heights([])
  #width = 0
  #drift = 0
  #position = 0
  #hold: Hold | null = null
  #changed = true

  constructor(ways: StripWays<Row>) {
    this.#ways = ways
  }

  set ends(ends: boolean) {
    this.#ends = ends
    if (ends || !this.stuck) return
    this.stuck = false
    this.#hold = this.#uppermost()
  }

  get total(): number {
    return this.#heights.total
  }

  /** The room above the rows that are drawn. */
  get before(): number {
    return Math.max(0, this.#heights.top(this.first) + this.#drift)
  }

  /** The room below them. */
  get after(): number {
    return Math.max(0, this.#heights.total - this.#heights.top(this.last))
  }

  /** The window is not where it should be: it will move by a pixel or more when it rests. */
  get adrift(): boolean {
    return Math.abs(this.#drift) >= 1
  }

  /** How much lies above the window, and how much below it. */
  room(position: number, height: number): { above: number; below: number } {
    const above = position - this.#drift
    return { above, below: this.#heights.total - above - height }
  }

  /** The upper edge of a row in the coordinates of the window's position. */
  topOf(at: number): number {
    return this.#heights.top(at) + this.#drift
  }

  /** The row at this position of the window. */
  rowAt(position: number): number {
    return this.#heights.at(position - this.#drift)
  }

  /** The last row that is seen down to its lower edge; -1: none. */
  seen(position: number, height: number): number {
    const end = position - this.#drift + height
    const at = this.#heights.at(end)
    return this.#heights.bottom(at) <= end ? at : at - 1
  }

  // ── What happens ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Other rows, or the same ones changed. */
  lay(rows: readonly Row[]): void {
    const before = this.rows
    const old = this.#heights
    const hold = this.#seenHold()
    this.rows = rows
    this.#heights = new Heights(rows.map((row) => this.#heightOf(row)))
    this.#changed = true
    const at = hold ? this.#find(hold.key, hold.at) : -1
    this.#hold = hold && at < 0 ? this.#neighbour(hold, before, old) : hold && { ...hold, at }
  }

  /** The window has this width. True when it is another one: then all that was known of the heights is no longer. */
  widen(width: number): boolean {
    if (width === this.#width) return false
    this.#width = width
    this.#known.clear()
    this.#heights = new Heights(this.rows.map((row) => this.#heightOf(row)))
    this.#changed = true
    return true
  }

  /** What the browser says of a row that is drawn. True when it was not known. */
  measure(key: string, height: number): boolean {
    if (this.#known.get(key) === height) return false
    this.#known.set(key, height)
    for (let at = this.first; at < this.last; at += 1) {
      if (this.rows[at]?.key === key) return this.#heights.set(at, height)
    }
    return this.#heights.set(this.#find(key, this.first), height)
  }

  /** Somebody has moved the window: what is at its upper edge is held from now on. */
  moved(position: number, height: number): void {
    this.stuck = this.#ends && this.#heights.total + this.#drift - position - height < NEAR
    this.#position = position
    this.#hold = this.#uppermost()
  }

  /** From now on the upper edge of this row stays `offset` below that of the window. False: there is no such row. */
  holdTop(key: string, offset: number, height: number): boolean {
    const at = this.#find(key, 0)
    if (at < 0) return false
    this.#hold = this.#holding(at, 'top', offset)
    this.stuck = this.#ends && this.#heights.total - this.#heights.top(at) + offset - height < NEAR
    return true
  }

  stick(): void {
    this.stuck = this.#ends
    this.#hold = null
  }

  /**
   * Where the window must stand now; `first`, `last`, `before` and `after` are right for it afterwards. While it is
   * `moving` it is left where it is as long as that is possible.
   */
  settle(position: number, height: number, moving: boolean): number {
    const end = Math.ceil(this.#heights.total - height)
    this.#position = position
    if (this.stuck && !moving) {
      this.#drift = 0
      const bottom = Math.max(0, end)
      this.#position = bottom
      this.#draw(bottom, height)
      return bottom
    }
    const hold = this.#hold
    if (!hold) {
      this.#draw(position - this.#drift, height)
      return position
    }
    const place = this.#edgeOf(hold) - hold.offset
    const drift = position - place
    if (moving) {
      this.#drift = drift
      this.#draw(place, height)
      // The room above must be there, and be none above the first row; and the end must not have come into the window.
      const ended = position > Math.max(0, end + drift) + 1
      if (!ended && this.#heights.top(this.first) + drift >= 0 && (this.first > 0 || drift < 1)) return position
    }
    // Browsers round the position up or down; the rest stays in the room above.
    const wanted = Math.ceil(place)
    const whole = Math.min(Math.max(0, wanted), Math.max(0, end))
    this.#drift = whole === wanted ? wanted - place : 0
    this.#position = whole
    if (whole < wanted) {
      // So much has gone that the end has come to the window.
      this.stuck = this.#ends
      if (hold.edge === 'bottom') this.#hold = this.#uppermost()
    }
    this.#draw(whole - this.#drift, height)
    return whole
  }

  // ── Inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #draw(place: number, height: number): void {
    const beyond = Math.max(BEYOND_LEAST, height * BEYOND)
    const covers = (margin: number): boolean =>
      (this.first === 0 || this.#heights.top(this.first) <= place - margin) &&
      (this.last >= this.rows.length || this.#heights.top(this.last) >= place + height + margin)
    // Half of what lies beyond may be used up before other rows are drawn.
    if (!this.#changed && this.last > this.first && covers(beyond / 2)) return
    this.#changed = false
    this.first = this.rows.length === 0 ? 0 : this.#heights.at(place - beyond)
    this.last = this.rows.length === 0 ? 0 : this.#heights.at(place + height + beyond) + 1
  }

  #heightOf(row: Row): number {
    const known = this.#known.get(row.key)
    if (known !== undefined) return known
    const guess = this.#ways.estimate(row, this.#width)
    this.#known.set(row.key, guess)
    return guess
  }

  #firm(at: number): boolean {
    const row = this.rows[at]
    return row !== undefined && this.#ways.firm(row)
  }

  #holding(at: number, edge: Hold['edge'], offset: number): Hold | null {
    const row = this.rows[at]
    return row ? { key: row.key, edge, offset, at } : null
  }

  /** What is at the upper edge of the window. */
  #uppermost(): Hold | null {
    const place = this.#position - this.#drift
    let at = this.#heights.at(place)
    while (at < this.rows.length - 1 && !this.#firm(at)) at += 1
    return this.#holding(at, 'bottom', this.#heights.bottom(at) - place)
  }

  /** What is held, where it is seen: that counts, even if it could not be put where it should. */
  #seenHold(): Hold | null {
    const hold = this.#hold
    if (!hold || hold.edge === 'bottom') return hold && this.#uppermost()
    return { ...hold, offset: this.#edgeOf(hold) + this.#drift - this.#position }
  }

  #edgeOf({ at, edge }: Hold): number {
    return edge === 'top' ? this.#heights.top(at) : this.#heights.bottom(at)
  }

  /** Looks outwards from where it was. */
  #find(key: string, from: number): number {
    const { rows } = this
    for (let step = 0; step < rows.length; step += 1) {
      if (rows[from + step]?.key === key) return from + step
      if (rows[from - step]?.key === key) return from - step
    }
    return rows.findIndex((row) => row.key === key)
  }

  /** What was held is gone: the nearest of the rows around it that is still there is held where it stood. */
  #neighbour(hold: Hold, before: readonly Row[], old: Heights): Hold | null {
    const present = new Map(this.rows.map((row, at) => [row.key, at]))
    const edge = hold.edge === 'top' ? old.top(hold.at) : old.bottom(hold.at)
    for (let step = 1; step < before.length; step += 1) {
      for (const near of [hold.at + step, hold.at - step]) {
        const row = before[near]
        const at = row && this.#ways.firm(row) ? present.get(row.key) : undefined
        if (at !== undefined) return this.#holding(at, 'bottom', hold.offset + old.bottom(near) - edge)
      }
    }
    return null
  }
}
