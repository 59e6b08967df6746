/** Money of the wallet that belongs to a pledge. Pure. */

import type { Line, Payment } from './types'

const ABOUT = 'pledge:'
const PURPOSE = 'stake:'

/** The pledge that a line of the statement belongs to. */
export function pledgeOfLine(line: Pick<Line, 'about'>): string | null {
  return line.about.startsWith(ABOUT) ? line.about.slice(ABOUT.length) : null
}

/** The pledge whose stake a payment was made for. */
export function pledgeOfPayment(payment: Pick<Payment, 'purpose'>): string | null {
  return payment.purpose.startsWith(PURPOSE) ? payment.purpose.slice(PURPOSE.length) : null
}

export type StakeMove = 'held' | 'back' | 'gone' | 'divided' | 'received'

/** What a line did to one's own part of a stake; null for a line of something else. */
export function stakeMove(line: Pick<Line, 'about' | 'available' | 'held'>): StakeMove | null {
  if (pledgeOfLine(line) === null) return null
  if (line.held > 0) return 'held'
  if (line.held === 0) return 'received'
  if (line.available === 0) return 'gone'
  return line.available + line.held === 0 ? 'back' : 'divided'
}
