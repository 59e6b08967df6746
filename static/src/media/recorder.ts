/** The microphone: a recording, how loud it is at this moment, and how loud it was. */

/** Seconds that may be recorded, unless the server has told how many. */
export const LONGEST = 300
/** Loudness is measured so often, in milliseconds. */
const MEASURE = 50
/** What the message tells of its loudness, at most. */
const LEVELS = 64
/** What is softer than this is silence, and not made to look loud. */
const QUIET = 0.02

/** What browsers record, the best first. Safari knows only the last. */
const TYPES = ['audio/webm;codecs=opus', 'audio/ogg;codecs=opus', 'audio/mp4']

export type RecordingFault = 'denied' | 'missing' | 'failed'

export interface Recorded {
  readonly file: Blob
  readonly seconds: number
  readonly levels: readonly number[]
}

/** The loudest of each part, 0 … 99, in at most 64 parts. */
export function gathered(levels: readonly number[]): number[] {
  const parts = Math.min(LEVELS, levels.length)
  const loudest = Math.max(QUIET, ...levels)
  return Array.from({ length: parts }, (_, at) => {
    const part = levels.slice(Math.floor((at * levels.length) / parts), Math.max(1, Math.floor(((at + 1) * levels.length) / parts)))
    return Math.round((Math.max(0, ...part) / loudest) * 99)
  })
}

function faultOf(error: unknown): RecordingFault {
  const name = error instanceof DOMException ? error.name : ''
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied'
  return name === 'NotFoundError' || name === 'NotReadableError' || name === 'OverconstrainedError' ? 'missing' : 'failed'
}

export class RecordingError extends Error {
  constructor(readonly fault: RecordingFault) {
    super(fault)
  }
}

export class Recorder {
  readonly #stream: MediaStream
  readonly #recorder: MediaRecorder
  readonly #context: AudioContext
  readonly #analyser: AnalyserNode
  readonly #samples: Float32Array<ArrayBuffer>
  readonly #pieces: Blob[] = []
  readonly #levels: number[] = []
  readonly #began = performance.now()
  readonly #timer: ReturnType<typeof setInterval>
  #seconds = 0

  private constructor(stream: MediaStream, recorder: MediaRecorder, heard: () => void) {
    this.#stream = stream
    this.#recorder = recorder
    this.#context = new AudioContext()
    this.#analyser = this.#context.createAnalyser()
    this.#analyser.fftSize = 1024
    this.#samples = new Float32Array(this.#analyser.fftSize)
    this.#context.createMediaStreamSource(stream).connect(this.#analyser)
    recorder.ondataavailable = ({ data }) => void (data.size > 0 && this.#pieces.push(data))
    recorder.start(1_000)
    this.#timer = setInterval(() => {
      this.#measure()
      heard()
    }, MEASURE)
  }

  /** Asks for the microphone. `heard` is called with each measurement. Rejects with RecordingError. */
  static async start(heard: () => void): Promise<Recorder> {
    if (typeof MediaRecorder === 'undefined' || !navigator.mediaDevices) throw new RecordingError('failed')
    let stream: MediaStream
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } })
    } catch (error) {
      throw new RecordingError(faultOf(error))
    }
    try {
      const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type))
      return new Recorder(stream, new MediaRecorder(stream, { audioBitsPerSecond: 32_000, ...(mimeType === undefined ? {} : { mimeType }) }), heard)
    } catch {
      for (const track of stream.getTracks()) track.stop()
      throw new RecordingError('failed')
    }
  }

  get seconds(): number {
    return this.#recorder.state === 'recording' ? (performance.now() - this.#began) / 1000 : this.#seconds
  }

  /** The last measurements, 0 … 99, the newest at the end. */
  recent(count: number): number[] {
    return this.#levels.slice(-count).map((level) => Math.min(99, Math.round(level * 260)))
  }

  /** Ends it and gives what was recorded. */
  async stop(): Promise<Recorded> {
    this.#seconds = this.seconds
    const ended = new Promise<void>((resolve) => (this.#recorder.onstop = () => resolve()))
    if (this.#recorder.state !== 'inactive') {
      this.#recorder.stop()
      await ended
    }
    this.#release()
    const type = this.#recorder.mimeType.split(';')[0] || 'audio/webm'
    return { file: new Blob(this.#pieces, { type }), seconds: this.#seconds, levels: gathered(this.#levels) }
  }

  /** Ends it and keeps nothing. */
  discard(): void {
    this.#recorder.ondataavailable = null
    if (this.#recorder.state !== 'inactive') this.#recorder.stop()
    this.#release()
    this.#pieces.length = 0
  }

  #measure(): void {
    this.#analyser.getFloatTimeDomainData(this.#samples)
    let sum = 0
    for (const sample of this.#samples) sum += sample * sample
    this.#levels.push(Math.sqrt(sum / this.#samples.length))
  }

  #release(): void {
    clearInterval(this.#timer)
    for (const track of this.#stream.getTracks()) track.stop() // the browser's sign of being heard goes out
    void this.#context.close().catch(() => undefined)
  }
}
