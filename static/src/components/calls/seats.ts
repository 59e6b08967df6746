/** The seats of a call as its pages show them. Pure. */

import type { CallView, SeatView } from '../../calls/types'
import type { Quality } from './stage'

export interface SeatLine {
  readonly person: string
  readonly name: string
  readonly avatar: string | null
  readonly own: boolean
  readonly state: SeatView['state']
  readonly inside: boolean
  readonly voice: boolean
  readonly camera: boolean
  readonly screen: boolean
  readonly quality: Quality
  readonly agrees: boolean
  readonly removable: boolean
  /** How one comes to a picture of them now: at once, by their yes, or not at all. */
  readonly snapshot: SeatView['picture']
}

export function isInside(seat: Pick<SeatView, 'state'>): boolean {
  return seat.state === 'joined' || seat.state === 'away'
}

export interface Around {
  readonly me: string
  nameOf(person: string): string
  avatarOf(person: string): string | null
  qualityOf(person: string): Quality
}

/** Oneself first, then those who are here, then the others; each group in the order of their seats. */
export function linesOf(call: CallView, around: Around): SeatLine[] {
  const lines = call.seats.map((seat): SeatLine => {
    const [own, inside] = [seat.person === around.me, isInside(seat)]
    return {
      person: seat.person,
      name: around.nameOf(seat.person),
      avatar: around.avatarOf(seat.person),
      own,
      state: seat.state,
      inside,
      voice: seat.voice,
      camera: seat.camera,
      screen: seat.screen,
      quality: around.qualityOf(seat.person),
      agrees: seat.agrees,
      removable: !own && call.can.includes('remove') && seat.state !== 'removed' && call.state !== 'ended',
      snapshot: !own && inside && seat.camera ? seat.picture : null,
    }
  })
  const rank = (line: SeatLine): number => (line.own ? 0 : line.inside ? 1 : line.state === 'ringing' ? 2 : 3)
  return lines.toSorted((a, b) => rank(a) - rank(b))
}

export interface SeatNews {
  readonly person: string
  readonly said: 'joined' | 'left' | 'away' | 'back' | 'removed' | 'declined' | 'missed' | 'busy' | 'sharing'
}

/** What is to be said aloud of a change of seats: who has come, gone, or been lost. One's own is left out. */
export function seatNews(before: CallView, after: CallView, me: string): SeatNews[] {
  const known = new Map(before.seats.map((seat) => [seat.person, seat]))
  return after.seats.flatMap((seat): SeatNews[] => {
    const old = known.get(seat.person)
    if (seat.person === me) return []
    if (seat.screen && !(old?.screen ?? false) && isInside(seat)) return [{ person: seat.person, said: 'sharing' }]
    if (old?.state === seat.state || seat.state === 'ringing') return []
    if (seat.state === 'joined') return [{ person: seat.person, said: old?.state === 'away' ? 'back' : 'joined' }]
    if (seat.state === 'left' && !(old && isInside(old))) return []
    return [{ person: seat.person, said: seat.state }]
  })
}
