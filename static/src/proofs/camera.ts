/** The camera for one picture, and where the phone is: both only when somebody says so, and closed at once afterwards. */

import type { Place } from './types'

export type CameraFault = 'denied' | 'missing' | 'failed'
export type PlaceFault = 'denied' | 'unknown'

/** Pixels of the longer side of what is sent. */
export const LONGEST = 1920
/** Bytes that the server takes (PICTURE_MOST). */
export const LARGEST = 2_900_000
/** Tried in this order until the picture is small enough. */
const QUALITIES = [0.92, 0.8, 0.6]
/** Milliseconds for finding out where the phone is, and how old an answer may be. */
const PATIENCE = 12_000
const FRESH = 5_000

export class CameraError extends Error {
  constructor(readonly fault: CameraFault) {
    super(fault)
  }
}

export class PlaceError extends Error {
  constructor(readonly fault: PlaceFault) {
    super(fault)
  }
}

/** Whether this browser shows its camera to pages: not over plain http. */
export const hasCamera = (): boolean => typeof navigator.mediaDevices?.getUserMedia === 'function'

export function faultOf(error: unknown): CameraFault {
  const name = error instanceof DOMException ? error.name : ''
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied'
  return name === 'NotFoundError' || name === 'OverconstrainedError' ? 'missing' : 'failed'
}

/** `back` is the camera that looks away from whoever holds the phone. Throws CameraError. */
export async function openCamera(back: boolean): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: back ? 'environment' : 'user', width: { ideal: 1920 }, height: { ideal: 1080 } } })
  } catch (error) {
    throw new CameraError(faultOf(error))
  }
}

export function closeCamera(stream: MediaStream | null): void {
  for (const track of stream?.getTracks() ?? []) track.stop()
}

/** Width and height so that neither is longer than LONGEST. */
export function fitted(width: number, height: number): [number, number] {
  const factor = Math.min(1, LONGEST / Math.max(width, height, 1))
  return [Math.round(width * factor), Math.round(height * factor)]
}

/** The frame that the video shows now, unmirrored, as JPEG: pixels and nothing else. Throws CameraError. */
export async function frameOf(video: HTMLVideoElement): Promise<Blob> {
  const [width, height] = fitted(video.videoWidth, video.videoHeight)
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext('2d')
  if (!context || width === 0) throw new CameraError('failed')
  context.drawImage(video, 0, 0, width, height)
  for (const quality of QUALITIES) {
    const file = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', quality))
    if (file && file.size <= LARGEST) return file
  }
  throw new CameraError('failed')
}

export async function base64Of(file: Blob): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer())
  let text = ''
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  return btoa(text)
}

/** To six digits, which is a decimetre. Throws PlaceError. */
export function findPlace(): Promise<Place> {
  return new Promise((resolve, reject) => {
    if (!('geolocation' in navigator)) return reject(new PlaceError('unknown'))
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve({ latitude: rounded(coords.latitude), longitude: rounded(coords.longitude), accuracy: Math.min(1_000_000, Math.ceil(coords.accuracy)) }),
      ({ code }) => reject(new PlaceError(code === 1 ? 'denied' : 'unknown')),
      { enableHighAccuracy: true, timeout: PATIENCE, maximumAge: FRESH },
    )
  })
}

const rounded = (degrees: number): number => Math.round(degrees * 1e6) / 1e6
