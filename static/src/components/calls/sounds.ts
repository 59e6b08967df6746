/** The sounds of calls, made on the spot: no files are fetched, and the content policy needs nothing for them. */

let context: AudioContext | null = null

/** Null where the browser makes no sound yet (nobody has touched the page) or never does. */
async function ready(): Promise<AudioContext | null> {
  try {
    context ??= new AudioContext()
    if (context.state === 'suspended') await Promise.race([context.resume(), new Promise((resolve) => setTimeout(resolve, 300))])
    return context.state === 'running' ? context : null
  } catch {
    return null
  }
}

/** One tone: hertz, and seconds from now and for how long. */
type Tone = readonly [hertz: number, from: number, length: number]

function play(on: AudioContext, tones: readonly Tone[], loudness: number): () => void {
  const nodes = tones.map(([hertz, from, length]) => {
    const [tone, gain, begin] = [on.createOscillator(), on.createGain(), on.currentTime + from]
    tone.type = 'sine'
    tone.frequency.value = hertz
    gain.gain.setValueAtTime(0, begin)
    gain.gain.linearRampToValueAtTime(loudness, begin + 0.02)
    gain.gain.setValueAtTime(loudness, begin + Math.max(0.02, length - 0.08))
    gain.gain.linearRampToValueAtTime(0, begin + length)
    tone.connect(gain).connect(on.destination)
    tone.start(begin)
    tone.stop(begin + length + 0.02)
    return { tone, gain }
  })
  return () =>
    nodes.forEach(({ tone, gain }) => {
      gain.disconnect()
      tone.disconnect()
    })
}

const SOUNDS = {
  joined: [[523, 0, 0.12], [784, 0.11, 0.18]],
  left: [[587, 0, 0.12], [440, 0.11, 0.18]],
  over: [[440, 0, 0.14], [330, 0.15, 0.3]],
  shutter: [[1400, 0, 0.04], [900, 0.06, 0.05]],
} as const satisfies Record<string, readonly Tone[]>

export async function sound(name: keyof typeof SOUNDS): Promise<void> {
  const on = await ready()
  if (on) play(on, SOUNDS[name], 0.06)
}

/** Somebody calls; or one hears that it rings there. */
const RINGS = {
  ring: { every: 3_000, loudness: 0.12, tones: [[659, 0, 0.22], [784, 0.24, 0.22], [988, 0.48, 0.36]] },
  ringback: { every: 4_000, loudness: 0.035, tones: [[425, 0, 1]] },
} as const satisfies Record<string, { every: number; loudness: number; tones: readonly Tone[] }>

/** Sounds again and again, until the answer is called. */
export function ringing(name: keyof typeof RINGS): () => void {
  const { every, loudness, tones } = RINGS[name]
  let over = false
  let stop = (): void => undefined
  async function once(): Promise<void> {
    const on = await ready()
    if (on && !over) stop = play(on, tones, loudness)
  }
  void once()
  const timer = setInterval(() => void once(), every)
  return () => {
    over = true
    clearInterval(timer)
    stop()
  }
}
