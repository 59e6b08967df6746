/** The words of calls, as the server has them, under the names that the pages use. */

import type { CallView, ServerCallsModelSeatState, ServerCallsViewsSeatView, SlotWanted } from '@vouch/realtime/http'

export type { CallList, CallView, ChangeSeat, IceServer, RecordingView, SnapshotAsk, SnapshotView } from '@vouch/realtime/http'
export type SeatView = ServerCallsViewsSeatView
export type SeatState = ServerCallsModelSeatState
export type Slot = SlotWanted
/** What somebody publishes, in the order of the lines of their offer. */
export type Track = 'voice' | 'camera' | 'small' | 'screen'

/** Somebody calls. `until`: it rings no longer (milliseconds). */
export interface Ring {
  readonly call: string
  readonly conversation: string
  readonly by: string
  readonly video: boolean
  readonly until: number
}

/** With what one joins; a device that cannot be opened is left out, and one joins all the same. */
export interface Wishes {
  readonly voice: boolean
  readonly camera: boolean
}

/** What is seen of the others: only that is asked for. */
export interface Looked {
  readonly person: string
  readonly track: 'camera' | 'screen'
  /** The small picture of the camera is enough. */
  readonly small: boolean
}

export type Phase = 'connecting' | 'live' | 'reconnecting' | 'failed'

export function isOver(call: Pick<CallView, 'state'>): boolean {
  return call.state === 'ended'
}
