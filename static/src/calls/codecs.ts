/**
 * Which codecs are offered: only those that the server forwards, VP8 first. Browsers know twenty and more, and would name each of them in
 * every line: an offer of many lines would be larger than the server takes.
 */

type Codec = Pick<RTCRtpCodec, 'mimeType' | 'sdpFmtpLine'>

function rank({ mimeType, sdpFmtpLine = '' }: Codec): number | null {
  switch (mimeType.toLowerCase()) {
    case 'audio/opus':
    case 'video/vp8':
      return 0
    case 'video/h264':
      // Constrained baseline, and pictures in several packets: what every browser can show.
      return /packetization-mode=1/.test(sdpFmtpLine) && /profile-level-id=42e0/i.test(sdpFmtpLine) ? 1 : null
    case 'video/rtx':
      return 2
    default:
      return null
  }
}

/** Pure. Empty where none of them is known: then the browser offers what it has. */
export function preferred<C extends Codec>(all: readonly C[]): C[] {
  const known = all.flatMap((codec) => {
    const place = rank(codec)
    return place === null ? [] : [{ codec, place }]
  })
  return known.some(({ place }) => place < 2) ? known.toSorted((a, b) => a.place - b.place).map(({ codec }) => codec) : []
}

export function prefer(transceiver: RTCRtpTransceiver, kind: 'audio' | 'video'): void {
  const wanted = preferred(RTCRtpReceiver.getCapabilities?.(kind)?.codecs ?? [])
  if (wanted.length === 0) return
  try {
    transceiver.setCodecPreferences(wanted)
  } catch {
    // a browser that will not be told offers all that it has
  }
}
