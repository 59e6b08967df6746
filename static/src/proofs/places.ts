/** How a place with its accuracy is drawn and written. */

import type { Place } from './types'

/** Metres of the rings around the middle. */
export const RINGS = [10, 100, 1_000, 10_000] as const
/** Shares of the drawing's half width. */
const INNERMOST = 0.22
const OUTERMOST = 0.96

/** Where a distance lies between the middle (0) and the edge (1): ten times as far is one ring further out. */
export function radiusOf(metres: number): number {
  const step = (OUTERMOST - INNERMOST) / (RINGS.length - 1)
  const along = Math.log10(Math.max(metres, 1) / RINGS[0])
  return Math.max(0.08, Math.min(OUTERMOST, INNERMOST + along * step))
}

/** 18 m, 1.2 km. */
export function distance(metres: number, language: string): string {
  const far = metres >= 1_000
  return new Intl.NumberFormat(language, { style: 'unit', unit: far ? 'kilometer' : 'meter', unitDisplay: 'short', maximumFractionDigits: far ? 1 : 0 }).format(far ? metres / 1_000 : metres)
}

/** 51.5072° N, 0.1276° W: four digits, about ten metres. */
export function coordinates({ latitude, longitude }: Place): string {
  const one = (value: number, plus: string, minus: string): string => `${Math.abs(value).toFixed(4)}° ${value < 0 ? minus : plus}`
  return `${one(latitude, 'N', 'S')}, ${one(longitude, 'E', 'W')}`
}

/** What opens the phone's own map. */
export const addressOf = ({ latitude, longitude, accuracy }: Place): string => `geo:${latitude},${longitude};u=${Math.ceil(accuracy)}`
