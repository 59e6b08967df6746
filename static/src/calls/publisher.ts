/**
 * The connection that carries what oneself shows. Its four lines are made beforehand, in the order that the server knows: voice, camera,
 * the camera's small picture, screen. Afterwards tracks are only put in and taken out, so that nothing is negotiated again.
 */

import { prefer } from './codecs'
import type { Track } from './types'

const LINES: readonly Track[] = ['voice', 'camera', 'small', 'screen']
/** Bits per second, pictures per second, and the width of the small picture. */
const LARGE: RTCRtpEncodingParameters = { maxBitrate: 1_500_000, maxFramerate: 30 }
const SMALL_WIDTH = 320
const SMALL: RTCRtpEncodingParameters = { maxBitrate: 110_000, maxFramerate: 12, scaleResolutionDownBy: 1280 / SMALL_WIDTH }
const SCREEN: RTCRtpEncodingParameters = { maxBitrate: 2_000_000, maxFramerate: 15 }
/** A voice goes before all pictures where the line is thin. */
const VOICE: RTCRtpEncodingParameters = { maxBitrate: 48_000, priority: 'high', networkPriority: 'high' }
const ENCODINGS: Readonly<Record<Track, RTCRtpEncodingParameters>> = { voice: VOICE, camera: LARGE, small: SMALL, screen: SCREEN }

/** By how much a picture is made smaller for those who see it small; one that stands upright is as small. Pure. */
export function scaleFor({ width = 1280, height = 0 }: { readonly width?: number; readonly height?: number }): number {
  return Math.max(1, Math.max(width, height) / SMALL_WIDTH)
}

export class Publisher {
  readonly connection: RTCPeerConnection
  readonly #senders: ReadonlyMap<Track, RTCRtpSender>

  #camera: MediaStreamTrack | null = null
  #small: MediaStreamTrack | null = null
  #over = false

  constructor(servers: RTCIceServer[]) {
    this.connection = new RTCPeerConnection({ iceServers: servers, bundlePolicy: 'max-bundle' })
    this.#senders = new Map(
      LINES.map((line) => {
        const kind = line === 'voice' ? 'audio' : 'video'
        const transceiver = this.connection.addTransceiver(kind, { direction: 'sendonly', sendEncodings: [ENCODINGS[line]] })
        prefer(transceiver, kind)
        return [line, transceiver.sender]
      }),
    )
  }

  async offer(): Promise<string> {
    const offer = await this.connection.createOffer()
    await this.connection.setLocalDescription(offer)
    return offer.sdp ?? ''
  }

  async answer(sdp: string): Promise<void> {
    await this.connection.setRemoteDescription({ type: 'answer', sdp })
  }

  /**
   * The camera goes out twice: as it is, and small for those who see it small. The small one is a track of its own: two senders of one track
   * share their limits in Chromium, and the large picture would be as slow as the small one. The device is let go of when both have ended.
   */
  async show(what: 'voice' | 'camera' | 'screen', track: MediaStreamTrack | null): Promise<void> {
    if (this.#over) return // a copy of the camera would keep its light on
    if (what !== 'camera') {
      await this.#senders.get(what)?.replaceTrack(track)
      return
    }
    if (track !== null && track === this.#camera) return
    this.#camera = track
    this.#small?.stop()
    const copy = track?.clone() ?? null
    this.#small = copy
    const small = this.#senders.get('small')
    if (track && small) await shrink(small, scaleFor(track.getSettings()))
    if (this.#camera !== track) return // changed meanwhile
    await Promise.all([this.#senders.get('camera')?.replaceTrack(track), small?.replaceTrack(copy)])
  }

  /** What the browser knows of the way to the server. */
  async report(): Promise<Iterable<Readonly<Record<string, unknown>>>> {
    return ((await this.connection.getStats()) as unknown as Map<string, Record<string, unknown>>).values()
  }

  close(): void {
    this.#over = true
    this.#camera = null
    this.#small?.stop()
    this.#small = null
    this.connection.close()
  }
}

async function shrink(sender: RTCRtpSender, by: number): Promise<void> {
  const parameters = sender.getParameters()
  const [encoding] = parameters.encodings ?? []
  if (!encoding || encoding.scaleResolutionDownBy === by) return
  encoding.scaleResolutionDownBy = by
  await sender.setParameters(parameters).catch(() => undefined) // then it is as small as it was made for the usual camera
}
