/** Pictures and video clips of this device: how large they are, how they look, and lighter ones of those that are very heavy. */

/** Pixels of the longer side, and bytes, above which a picture is made lighter before it travels. */
const SIDE_MOST = 2560
const HEAVY = 1_500_000
/** A lighter one must be worth it. */
const WORTH = 0.7
const QUALITY = 0.86
/** Milliseconds for a clip to tell its length; after that it goes without. */
const PATIENCE = 5_000

export interface Seen {
  /** Pixels as seen (upright). */
  readonly width: number
  readonly height: number
}

export interface Clip extends Seen {
  readonly seconds: number
  readonly poster: Blob | null
}

function drawn(source: CanvasImageSource, width: number, height: number, type: string): Promise<Blob | null> {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  canvas.getContext('2d')?.drawImage(source, 0, 0, width, height)
  return new Promise((resolve) => canvas.toBlob(resolve, type, QUALITY))
}

/** The picture and what it measures, lighter if that saves much; null when this browser cannot read it. */
export async function lookAt(file: Blob): Promise<(Seen & { readonly file: Blob }) | null> {
  let bitmap: ImageBitmap
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' })
  } catch {
    return null
  }
  try {
    const { width, height } = bitmap
    const scale = SIDE_MOST / Math.max(width, height)
    const moves = file.type === 'image/gif' || file.type === 'image/webp' || file.type === 'image/avif' // these may be animated
    if (scale >= 1 || file.size < HEAVY || moves) return { width, height, file }
    const [less, lower] = [Math.round(width * scale), Math.round(height * scale)]
    // What is transparent stays so.
    const lighter = await drawn(bitmap, less, lower, file.type === 'image/png' ? 'image/webp' : 'image/jpeg')
    return lighter && lighter.size < file.size * WORTH ? { width: less, height: lower, file: lighter } : { width, height, file }
  } finally {
    bitmap.close()
  }
}

/** What a clip measures, how long it plays and how it begins; null when this browser cannot play it. */
export function lookAtClip(file: Blob): Promise<Clip | null> {
  const url = URL.createObjectURL(file)
  const video = document.createElement('video')
  video.muted = true
  video.playsInline = true
  video.preload = 'auto'
  return new Promise<Clip | null>((resolve) => {
    const facts = (poster: Blob | null): Clip => ({
      width: video.videoWidth,
      height: video.videoHeight,
      seconds: Number.isFinite(video.duration) ? video.duration : 0,
      poster,
    })
    const timer = setTimeout(() => resolve(video.videoWidth > 0 ? facts(null) : null), PATIENCE)
    video.onerror = () => resolve(null)
    video.onloadeddata = () => (video.currentTime = Math.min(0.1, (video.duration || 0) / 2))
    video.onseeked = () => {
      const scale = Math.min(1, 640 / Math.max(1, video.videoWidth, video.videoHeight))
      void drawn(video, Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale), 'image/jpeg').then((poster) => {
        clearTimeout(timer)
        resolve(facts(poster))
      })
    }
    video.src = url
  }).finally(() => {
    video.removeAttribute('src')
    video.load()
    URL.revokeObjectURL(url)
  })
}
