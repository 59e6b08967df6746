/** How loud a stream is, told some twelve times a second: 0 … 1 on a scale of decibels, as ears hear. */

const EVERY = 80
/** What counts as silence and as full, in decibels. */
const [QUIETEST, LOUDEST] = [-55, -12]

export function levelOf(samples: Float32Array): number {
  let sum = 0
  for (const sample of samples) sum += sample * sample
  const decibels = 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-10)
  return Math.min(1, Math.max(0, (decibels - QUIETEST) / (LOUDEST - QUIETEST)))
}

/** Browsers allow few of them: all meters share one, which sleeps while there is none. */
let context: AudioContext | null = null
let meters = 0

/** Listens until the answer is called. A stream without sound says nothing. */
export function levelMeter(stream: MediaStream, tell: (level: number) => void): () => void {
  if (stream.getAudioTracks().length === 0 || typeof AudioContext === 'undefined') return () => undefined
  const own = (context ??= new AudioContext())
  meters += 1
  void own.resume().catch(() => undefined)
  const analyser = own.createAnalyser()
  analyser.fftSize = 1024
  const samples = new Float32Array(analyser.fftSize)
  const source = own.createMediaStreamSource(stream)
  source.connect(analyser)
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples)
    tell(levelOf(samples))
  }, EVERY)
  let over = false
  return () => {
    if (over) return
    over = true
    clearInterval(timer)
    source.disconnect()
    meters -= 1
    if (meters === 0) void own.suspend().catch(() => undefined)
  }
}
