/** The tones of the chips that tell how something stands: waiting amber, settled jade, what must not be missed red. */

import type { Tone } from '../money/flow'
import type { AdjustmentLine, DifferenceLine, DisputeLine, ReconciliationLine } from './types'

export const DISPUTE_TONES: Readonly<Record<DisputeLine['state'], Tone>> = { open: 'amber', giving_back: 'amber', given_back: 'jade', refused: 'plain' }

export const ADJUSTMENT_TONES: Readonly<Record<AdjustmentLine['state'], Tone>> = { proposed: 'amber', done: 'jade', refused: 'plain' }

export const DIFFERENCE_TONES: Readonly<Record<DifferenceLine['state'], Tone>> = { open: 'seal', mended: 'jade', explained: 'plain' }

export function runTone(run: ReconciliationLine): Tone {
  if (run.state !== 'done') return run.state === 'running' ? 'sky' : 'amber'
  return run.open ? 'seal' : 'jade'
}
