/** Files of this device as things to be sent. */

import { newKey } from '../api'
import { kindOf } from '../chat/media'
import type { Chosen } from '../chat/parcel'
import { lookAt, lookAtClip } from './pictures'

/** What was chosen, with its bytes and a picture of it that this page can show. */
export interface Pick {
  readonly chosen: Chosen
  readonly file: Blob
  /** An object URL: whoever drops the pick gives it back. */
  readonly preview: string | null
  /** What was chosen before it was made lighter: sent if it goes as a file. */
  readonly original: File | null
}

const NAME_LONGEST = 180

/** The end of a name says what it is: the middle goes. */
function shortened(name: string): string {
  const signs = [...name]
  if (signs.length <= NAME_LONGEST) return name
  return `${signs.slice(0, NAME_LONGEST - 41).join('')}…${signs.slice(-40).join('')}`
}

function bare(file: Blob, name: string, kind: Chosen['kind']): Chosen {
  return { id: newKey(), kind, name: shortened(name) || kind, type: file.type, size: file.size, width: 0, height: 0, seconds: 0, levels: [] }
}

function asFile(file: File): Pick {
  return { chosen: bare(file, file.name, 'file'), file, preview: null, original: file }
}

/** `whole`: as it is, whatever it is. */
export async function pickOf(file: File, whole = false): Promise<Pick> {
  const kind = whole ? 'file' : kindOf(file.type)
  if (kind === 'picture') {
    const seen = await lookAt(file)
    const sent = seen?.file ?? file
    const measures = seen ? { width: seen.width, height: seen.height } : {}
    return { chosen: { ...bare(sent, file.name, kind), ...measures }, file: sent, preview: seen ? URL.createObjectURL(sent) : null, original: file }
  }
  if (kind === 'video') {
    const clip = await lookAtClip(file)
    const measures = clip ? { width: clip.width, height: clip.height, seconds: clip.seconds } : {}
    return { chosen: { ...bare(file, file.name, kind), ...measures }, file, preview: clip?.poster ? URL.createObjectURL(clip.poster) : null, original: file }
  }
  return asFile(file)
}

/** A voice as it was recorded. */
export function voicePick(recording: Blob, seconds: number, levels: readonly number[]): Pick {
  const ending = recording.type.includes('mp4') ? 'm4a' : recording.type.includes('ogg') ? 'ogg' : 'webm'
  const chosen = { ...bare(recording, `voice.${ending}`, 'voice'), seconds, levels }
  return { chosen, file: recording, preview: URL.createObjectURL(recording), original: null }
}

/** The same thing as a file, or as a picture again. */
export async function switched(pick: Pick): Promise<Pick> {
  if (!pick.original) return pick
  if (pick.preview !== null) URL.revokeObjectURL(pick.preview)
  return pickOf(pick.original, pick.chosen.kind !== 'file')
}
