/** What stands on the stage of a call: one tile per person, and one per screen that is shown. Pure. */

export type Quality = 'good' | 'fair' | 'poor' | 'lost' | 'unknown'

export interface StageTile {
  /** `person:camera` or `person:screen`. */
  readonly key: string
  readonly person: string
  readonly name: string
  readonly avatar: string | null
  readonly own: boolean
  readonly screen: boolean
  readonly state: 'joined' | 'away' | 'ringing'
  readonly voice: boolean
  readonly camera: boolean
  readonly speaking: boolean
  readonly quality: Quality
  /** Oneself through a camera that looks at one's face. */
  readonly mirrored: boolean
}

/** The camera at the back of a phone: what it shows is read, and not mirrored. */
export function facesAway(stream: MediaStream | null): boolean {
  return stream?.getVideoTracks()[0]?.getSettings().facingMode === 'environment'
}

/** At least so much of an upright picture is seen in a wide place, or else all of it. */
const SEEN = 0.6

interface Size {
  readonly width: number
  readonly height: number
}

/** Whether filling `place` would cut too much off the top and the bottom of `picture`. Sides are cut: whoever is filmed sits in the middle. */
export function showsUpright(picture: Size, place: Size): boolean {
  if (picture.width <= 0 || picture.height <= 0 || place.width <= 0 || place.height <= 0 || picture.width >= picture.height) return false
  return picture.width / picture.height / (place.width / place.height) < SEEN
}

/** "1:05", "1:02:33": how long it has lasted. `from` and `to` are milliseconds. */
export function clockOf(from: number, to: number): string {
  const all = Math.max(0, Math.floor((to - from) / 1000))
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60]
  const two = (value: number): string => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`
}
