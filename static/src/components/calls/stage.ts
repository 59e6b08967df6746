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

/** "1:05", "1:02:33": how long it has lasted. `from` and `to` are milliseconds. */
export function clockOf(from: number, to: number): string {
  const all = Math.max(0, Math.floor((to - from) / 1000))
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60]
  const two = (value: number): string => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`
}
