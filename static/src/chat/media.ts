/** Pictures, voices, videos and files in words and addresses. Pure. */

import type { Media, MediaKind } from '@vouch/realtime'

export type Variant = 'main' | 'preview' | 'thumb' | 'poster'

/** Things that are still on their way have names of this device; the server knows nothing of them. */
const LOCAL = 'local:'

export function localId(id: string): string {
  return LOCAL + id
}

export function isLocal(media: Pick<Media, 'id'>): boolean {
  return media.id.startsWith(LOCAL)
}

/** The name of this device for what is on its way; the server's id for all else. */
export function ownName(media: Pick<Media, 'id'>): string {
  return isLocal(media) ? media.id.slice(LOCAL.length) : media.id
}

export function addressOf(id: string, variant: Variant): string {
  return `/api/v1/media/${encodeURIComponent(id)}/${variant}`
}

/** 0:07, 12:30, 1:02:03. */
export function durationOf(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const two = (value: number): string => String(value).padStart(2, '0')
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60)]
  return hours > 0 ? `${hours}:${two(minutes % 60)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

const UNITS = ['B', 'kB', 'MB', 'GB'] as const

/** 640 B, 12 kB, 3.4 MB. */
export function sizeOf(bytes: number, language: string): string {
  let value = bytes
  let unit = 0
  for (; value >= 999.5 && unit < UNITS.length - 1; unit += 1) value /= 1000
  const digits = unit > 1 && value < 10 ? 1 : 0
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value)} ${UNITS[unit] ?? 'B'}`
}

/** What a kind of file is called, and which sign it has. */
export type FileSort = 'document' | 'sheet' | 'slides' | 'archive' | 'sound' | 'picture' | 'video' | 'code' | 'other'

const SORTS: Readonly<Record<string, FileSort>> = Object.fromEntries(
  (
    [
      ['document', 'pdf doc docx odt rtf txt md pages epub'],
      ['sheet', 'xls xlsx ods csv numbers'],
      ['slides', 'ppt pptx odp key'],
      ['archive', 'zip gz tar 7z rar xz bz2'],
      ['sound', 'mp3 m4a aac wav flac ogg opus'],
      ['picture', 'png jpg jpeg gif webp avif bmp tif tiff heic svg'],
      ['video', 'mp4 mov mkv webm avi'],
      ['code', 'js ts py java c cpp go rs html css json xml sh'],
    ] as const
  ).flatMap(([sort, endings]) => endings.split(' ').map((ending) => [ending, sort])),
)

export function sortOf(name: string): FileSort {
  const ending = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase()
  return (ending !== undefined && SORTS[ending]) || 'other'
}

/** What a chosen file is sent as, from the type that the browser tells; the server looks at the content. */
export function kindOf(type: string): MediaKind {
  if (/^image\/(png|jpeg|gif|webp|avif|bmp|heic|heif)$/.test(type)) return 'picture'
  return /^video\/(mp4|webm|quicktime|x-matroska|x-m4v)$/.test(type) ? 'video' : 'file'
}
