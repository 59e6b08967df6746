/** How tall the rows of a list are, and so where each of them stands. Pixels; from 0 at the upper edge of the first. */

export class Heights {
  readonly #heights: Float64Array
  /** Where each row begins, and behind the last one the sum of all; right up to #sound. */
  readonly #tops: Float64Array
  #sound = 0

  constructor(heights: ArrayLike<number>) {
    this.#heights = Float64Array.from(heights)
    this.#tops = new Float64Array(this.#heights.length + 1)
  }

  get count(): number {
    return this.#heights.length
  }

  get total(): number {
    return this.top(this.count)
  }

  height(at: number): number {
    return this.#heights[at] ?? 0
  }

  /** The upper edge of a row; of the one behind the last: the end of all. */
  top(at: number): number {
    const wanted = Math.min(Math.max(at, 0), this.count)
    while (this.#sound < wanted) {
      this.#tops[this.#sound + 1] = this.#topHere(this.#sound) + this.height(this.#sound)
      this.#sound += 1
    }
    return this.#topHere(wanted)
  }

  bottom(at: number): number {
    return this.top(at + 1)
  }

  /** True when that changed anything. */
  set(at: number, height: number): boolean {
    if (at < 0 || at >= this.count || this.#heights[at] === height) return false
    this.#heights[at] = height
    this.#sound = Math.min(this.#sound, at)
    return true
  }

  /** The row that covers this place: the first below 0, the last beyond the end, 0 when there is none. */
  at(place: number): number {
    let low = 0
    let high = this.count - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.bottom(middle) > place) high = middle
      else low = middle + 1
    }
    return low
  }

  #topHere(at: number): number {
    return this.#tops[at] ?? 0
  }
}
