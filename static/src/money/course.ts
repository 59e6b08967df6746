/** The drawing of a purse over days: what came and went, and what was there in the evening. Pure. */

import { roundUp } from '../chart'
import type { Day } from './types'

export interface Size {
  readonly width: number
  /** Of the line of balances, and of the bars below it. */
  readonly line: number
  readonly bars: number
}

export interface Bar {
  readonly x: number
  readonly width: number
  /** Heights from the middle of the bars: up and down. */
  readonly incoming: number
  readonly outgoing: number
}

export interface CourseShape {
  /** The amount at the upper edge of the line, and at both edges of the bars. */
  readonly top: number
  readonly most: number
  /** Steps, for a balance stays what it is until something moves. */
  readonly line: string
  readonly area: string
  readonly bars: readonly Bar[]
}

/** A bar that is there at all can be seen. */
const THINNEST = 2

export function courseShape(days: readonly Day[], { width, line, bars }: Size): CourseShape {
  const top = roundUp(Math.max(0, ...days.map((day) => day.balance)))
  const most = roundUp(Math.max(0, ...days.flatMap((day) => [day.incoming, day.outgoing])))
  const step = width / Math.max(1, days.length)
  const y = (balance: number): string => (line - (Math.max(0, balance) / top) * line).toFixed(1)
  const path = days.map((day, index) => `${index === 0 ? 'M0 ' : 'V'}${y(day.balance)}H${((index + 1) * step).toFixed(1)}`).join('')
  const height = (amount: number): number => (amount <= 0 ? 0 : Math.max(THINNEST, (amount / most) * (bars / 2)))
  return {
    top,
    most,
    line: path,
    area: path === '' ? '' : `${path}V${line}H0Z`,
    bars: days.map((day, index) => ({ x: index * step + step * 0.15, width: step * 0.7, incoming: height(day.incoming), outgoing: height(day.outgoing) })),
  }
}

/** The day under a place from 0 (left) to 1 (right); null outside, and where there are no days. */
export function dayAt(days: readonly Day[], place: number): number | null {
  if (days.length === 0 || !(place >= 0 && place <= 1)) return null
  return Math.min(days.length - 1, Math.floor(place * days.length))
}

export interface Sums {
  readonly incoming: number
  readonly outgoing: number
  readonly balance: number
}

export function sumsOf(days: readonly Day[]): Sums {
  return {
    incoming: days.reduce((sum, day) => sum + day.incoming, 0),
    outgoing: days.reduce((sum, day) => sum + day.outgoing, 0),
    balance: days.at(-1)?.balance ?? 0,
  }
}

/** A part of a whole that is divided. */
export interface Part {
  readonly amount: number
  readonly to: string
  readonly tone: 'jade' | 'seal' | 'sky' | 'amber' | 'plain'
}

/** Shares of the width in percent, which together are 100; parts without an amount have none. */
export function sharesOf(parts: readonly Part[]): number[] {
  const whole = parts.reduce((sum, part) => sum + Math.max(0, part.amount), 0)
  return parts.map((part) => (whole === 0 ? 0 : (Math.max(0, part.amount) / whole) * 100))
}
