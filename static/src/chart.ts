/** Where the lines of a chart go. Pure. */

export interface Series {
  readonly name: string
  readonly tone: 'sky' | 'amber'
  readonly values: readonly (number | null)[]
}

export interface Frame {
  readonly from: number
  readonly to: number
  readonly top: number
  readonly step: number
  readonly width: number
  readonly height: number
}

/** The next of 1, 2, 5, 10, 20 … that is at least as high; 1 for nothing. */
export function roundUp(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  const step = [1, 2, 5, 10].find((each) => each * power >= value * (1 - 1e-9)) ?? 10
  return step * power
}

/** An SVG path through the values. It is broken where nothing was measured, and a lonely value is a dot. */
export function pathOf(times: readonly number[], values: readonly (number | null)[], frame: Frame): string {
  let path = ''
  let before: number | null = null
  times.forEach((time, index) => {
    const value = values[index] ?? null
    if (value === null) {
      before = null
      return
    }
    const x = ((time - frame.from) / Math.max(1, frame.to - frame.from)) * frame.width
    const y = frame.height - (Math.min(value, frame.top) / frame.top) * frame.height
    const joined = before !== null && time - before <= frame.step * 2.5
    const point = `${x.toFixed(1)} ${y.toFixed(1)}`
    path += joined ? `L${point}` : `M${point}h0.1`
    before = time
  })
  return path
}
