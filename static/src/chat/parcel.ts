/** A message whose things are still on their way to the server, as its sender sees it. Pure. */

import type { Media, MediaKind, Pending } from '@vouch/realtime'

import { localId } from './media'
import { courseOf, isOver, shareOf, type Course } from './upload'

/** What was chosen or recorded, with the facts that this device can tell. */
export interface Chosen {
  /** A name of this device. */
  readonly id: string
  readonly kind: MediaKind
  readonly name: string
  readonly type: string
  readonly size: number
  /** Pixels; 0: not known. */
  readonly width: number
  readonly height: number
  /** How long it plays; 0: not known. */
  readonly seconds: number
  readonly levels: readonly number[]
}

export interface Thing extends Chosen {
  readonly course: Course
  /** Bytes of the present piece that have left. */
  readonly moved: number
}

export interface Parcel {
  /** The id that the message will have in the log. */
  readonly id: string
  readonly conversation: string
  readonly ch: string
  /** The message's body without its media. */
  readonly body: Readonly<Record<string, unknown>>
  readonly ref: number | null
  readonly at: number
  readonly things: readonly Thing[]
}

/** What survives the page: of each course only the server's id, or the facts of what is ready. */
export interface StoredParcel extends Omit<Parcel, 'things'> {
  readonly things: readonly (Chosen & { readonly upload: string | null; readonly media: Media | null })[]
}

export function parcelOf(start: Omit<Parcel, 'things'>, things: readonly Chosen[]): Parcel {
  return { ...start, things: things.map((thing) => ({ ...thing, course: courseOf(thing.size), moved: 0 })) }
}

export function stored(parcel: Parcel): StoredParcel {
  return { ...parcel, things: parcel.things.map(({ course, moved: _, ...chosen }) => ({ ...chosen, upload: course.upload, media: course.media })) }
}

export function restored(parcel: StoredParcel): Parcel {
  const things = parcel.things.map(({ upload, media, ...chosen }): Thing => {
    const course = courseOf(chosen.size, upload)
    return { ...chosen, course: media ? { ...course, phase: 'ready', offset: chosen.size, media } : course, moved: 0 }
  })
  return { ...parcel, things }
}

export function withThing(parcel: Parcel, id: string, change: (thing: Thing) => Thing): Parcel {
  return { ...parcel, things: parcel.things.map((thing) => (thing.id === id ? change(thing) : thing)) }
}

export function isReady(parcel: Parcel): boolean {
  return parcel.things.every(({ course }) => course.phase === 'ready')
}

/** Some of it will not arrive by itself. */
export function isStuck(parcel: Parcel): boolean {
  return parcel.things.some(({ course }) => course.phase === 'refused' || course.phase === 'failed')
}

export function isMoving(parcel: Parcel): boolean {
  return parcel.things.some(({ course }) => !isOver(course))
}

/** Of all bytes, 0 … 1. */
export function progressOf(parcel: Parcel): number {
  const size = parcel.things.reduce((sum, thing) => sum + thing.size, 0)
  const done = parcel.things.reduce((sum, thing) => sum + shareOf(thing.course, thing.moved) * thing.size, 0)
  return size === 0 ? 0 : done / size
}

/** What the message says of a thing before the server has told its facts. */
function standIn({ id, kind, name, type, size, width, height, seconds, levels }: Thing): Media {
  return { id: localId(id), kind, name, type, size, width, height, seconds, levels: [...levels] }
}

/** The unsent message, as the timeline shows those of the outbox. */
export function pendingOf(parcel: Parcel, online: boolean): Pending {
  const { id, ch, body, ref, at } = parcel
  const media = parcel.things.map(standIn)
  const base = { id, ch, kind: 'message', body: { ...body, media }, ref, at }
  if (isStuck(parcel)) return { ...base, state: 'failed' }
  return { ...base, state: online ? 'sending' : 'waiting' }
}
