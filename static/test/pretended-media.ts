/** Tracks, streams and connections of a browser that is not there: what they were told can be looked at. */

export class Track extends EventTarget {
  static readonly all: Track[] = []
  enabled = true
  contentHint = ''
  readyState: 'live' | 'ended' = 'live'

  constructor(readonly kind: 'audio' | 'video') {
    super()
    Track.all.push(this)
  }

  stop(): void {
    this.readyState = 'ended'
  }

  clone(): Track {
    return new Track(this.kind)
  }

  getSettings(): MediaTrackSettings {
    return { width: 1280, height: 720, deviceId: `${this.kind} device` }
  }

  /** Pulled out, or ended by the browser's own button. */
  vanish(): void {
    this.stop()
    this.dispatchEvent(new Event('ended'))
  }
}

export class Stream {
  constructor(readonly tracks: Track[]) {}
  getTracks = (): Track[] => this.tracks
  getAudioTracks = (): Track[] => this.tracks.filter((track) => track.kind === 'audio')
}

export class Connection extends EventTarget {
  static readonly all: Connection[] = []
  connectionState: RTCPeerConnectionState = 'new'
  readonly senders: { track: Track | null }[] = []

  constructor() {
    super()
    Connection.all.push(this)
  }

  addTransceiver(kind: 'audio' | 'video'): unknown {
    const sender = {
      track: null as Track | null,
      replaceTrack: (track: Track | null) => Promise.resolve(void (sender.track = track)),
      getParameters: () => ({ encodings: [{}] }),
      setParameters: () => Promise.resolve(),
    }
    this.senders.push(sender)
    return { sender, receiver: { track: new Track(kind), getSynchronizationSources: () => [] }, setCodecPreferences: () => undefined }
  }

  createOffer = (): Promise<{ sdp: string }> => Promise.resolve({ sdp: 'offer' })
  setLocalDescription = (): Promise<void> => Promise.resolve()
  getStats = (): Promise<Map<string, unknown>> => Promise.resolve(new Map())
  setRemoteDescription(): Promise<void> {
    this.connectionState = 'connected'
    return Promise.resolve()
  }

  close(): void {
    this.connectionState = 'closed'
  }
}
