/** Questions for a picture, where no promise gives the right to one: who asks whom, and what becomes of it. Pure. */

import type { CallView, SnapshotAsk } from '../../calls/types'

const isOpen = (ask: SnapshotAsk): boolean => ask.state === 'asked'

/** The question that waits for one's own answer: the oldest. */
export function toAnswer(call: Pick<CallView, 'asks'>, me: string): SnapshotAsk | null {
  return call.asks.find((ask) => isOpen(ask) && ask.person === me) ?? null
}

/** What one has asked for and waits for. */
export function waitingFor(call: Pick<CallView, 'asks'>, me: string): readonly SnapshotAsk[] {
  return call.asks.filter((ask) => isOpen(ask) && ask.by === me)
}

export interface PictureNews {
  readonly person: string
  readonly said: 'refused' | 'taken' | 'lapsed'
}

/** What has become of one's own questions. Those one has taken back are no news; `gone` holds their ids. */
export function pictureNews(before: Pick<CallView, 'asks'>, after: Pick<CallView, 'asks'>, me: string, now: number): PictureNews[] {
  return waitingFor(before, me).flatMap((ask): PictureNews[] => {
    const fresh = after.asks.find((each) => each.id === ask.id)
    if (fresh?.state === 'asked') return []
    if (fresh) return [{ person: ask.person, said: fresh.state }]
    // Gone without an answer: its time has passed, or one has taken it back oneself.
    return now >= ask.until - SKEW ? [{ person: ask.person, said: 'lapsed' }] : []
  })
}

/** Milliseconds by which this clock and the server's may differ. */
const SKEW = 2_000
