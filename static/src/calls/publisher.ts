/**
 * The connection that carries what oneself shows. Its four lines are made beforehand, in the order that the server knows: voice, camera,
 * the camera's small picture, screen. Afterwards tracks are only put in and taken out, so that nothing is negotiated again.
 */

import type { Track } from './types'

const LINES: readonly Track[] = ['voice', 'camera', 'small', 'screen']
/** Bits per second, pictures per second, and the width of the small picture. */
const LARGE = { maxBitrate: 1_500_000, maxFramerate: 30 }
const SMALL = { maxBitrate: 110_000, maxFramerate: 12 }
const SMALL_WIDTH = 320
const SCREEN = { maxBitrate: 2_000_000, maxFramerate: 15 }
const VOICE = { maxBitrate: 48_000 }
const ENCODINGS: Readonly<Record<Track, RTCRtpEncodingParameters>> = { voice: VOICE, camera: LARGE, small: SMALL, screen: SCREEN }

export class Publisher {
  readonly connection: RTCPeerConnection
  readonly #senders: ReadonlyMap<Track, RTCRtpSender>

  constructor(servers: RTCIceServer[]) {
    this.connection = new RTCPeerConnection({ iceServers: servers, bundlePolicy: 'max-bundle' })
    this.#senders = new Map(LINES.map((line) => [line, this.connection.addTransceiver(line === 'voice' ? 'audio' : 'video', { direction: 'sendonly', sendEncodings: [ENCODINGS[line]] }).sender]))
  }

  async offer(): Promise<string> {
    const offer = await this.connection.createOffer()
    await this.connection.setLocalDescription(offer)
    return offer.sdp ?? ''
  }

  async answer(sdp: string): Promise<void> {
    await this.connection.setRemoteDescription({ type: 'answer', sdp })
  }

  /** The camera goes out twice: as it is, and small for those who see it small. */
  async show(what: 'voice' | 'camera' | 'screen', track: MediaStreamTrack | null): Promise<void> {
    await this.#senders.get(what)?.replaceTrack(track)
    if (what !== 'camera') return
    const small = this.#senders.get('small')
    if (!small) return
    if (track) {
      const wide = Math.max(track.getSettings().width ?? 1280, track.getSettings().height ?? 0)
      const parameters = small.getParameters()
      for (const encoding of parameters.encodings) Object.assign(encoding, SMALL, { scaleResolutionDownBy: Math.max(1, wide / SMALL_WIDTH) })
      await small.setParameters(parameters).catch(() => undefined) // before the answer there is nothing to set on some browsers
    }
    await small.replaceTrack(track)
  }

  close(): void {
    this.connection.close()
  }
}
