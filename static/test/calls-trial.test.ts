/** Camera and microphone of the page before a call: what is turned off, or left, is never open. */

import { createApp, nextTick, type App } from 'vue'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { useTrial, type Trial } from '../src/components/calls/trial'

class Track extends EventTarget {
  readyState: 'live' | 'ended' = 'live'

  constructor(readonly kind: 'audio' | 'video') {
    super()
  }

  stop(): void {
    this.readyState = 'ended'
  }
}

class Stream {
  constructor(readonly tracks: Track[]) {}
  getTracks = (): Track[] => this.tracks
  getAudioTracks = (): Track[] => this.tracks.filter((track) => track.kind === 'audio')
}

interface Asked {
  readonly wants: MediaStreamConstraints
  allow(): void
  refuse(name: string): void
}

let asked: Asked[]
let all: Track[]
let app: App
let trial: Trial

const open = (): string[] => all.filter((track) => track.readyState === 'live').map((track) => track.kind)
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn += 1) await nextTick()
}

beforeEach(() => {
  asked = []
  all = []
  vi.stubGlobal('AudioContext', undefined)
  vi.stubGlobal('navigator', {
    mediaDevices: {
      enumerateDevices: () => Promise.resolve([]),
      getUserMedia: (wants: MediaStreamConstraints) =>
        new Promise((resolve, reject) => {
          asked.push({
            wants,
            allow() {
              const tracks = [...(wants.audio ? [new Track('audio')] : []), ...(wants.video ? [new Track('video')] : [])]
              all.push(...tracks)
              resolve(new Stream(tracks))
            },
            refuse: (name) => reject(new DOMException('no', name)),
          })
        }),
    },
  })
  app = createApp({ setup: () => ((trial = useTrial(true)), () => null) })
  app.mount(document.createElement('div'))
})

afterEach(() => {
  app.unmount()
  vi.unstubAllGlobals()
})

describe('the trial before a call', () => {
  it('opens nothing before one says so', async () => {
    await settled()
    expect(asked).toEqual([])
  })

  it('does not open a camera that was turned off while the browser asked', async () => {
    void trial.begin()
    trial.wantsCamera.value = false
    trial.follow()
    asked.forEach((each) => each.allow())
    await settled()
    expect(open()).toEqual(['audio'])
    expect(trial.showsCamera.value).toBe(false)
    expect(trial.opening.value).toBe(false)
  })

  it('lets go of what is allowed after the page was left, and asks for nothing more', async () => {
    void trial.begin()
    app.unmount()
    asked[0]?.refuse('NotReadableError')
    await settled()
    expect(asked).toHaveLength(1)
    expect(trial.fault.value).toBeNull()
    expect(trial.opening.value).toBe(false)
  })

  it('lets go of everything when the window goes away, also where the browser keeps its page', async () => {
    void trial.begin()
    asked[0]?.allow()
    await settled()
    expect(open()).toEqual(['audio', 'video'])
    window.dispatchEvent(new Event('pagehide'))
    expect(open()).toEqual([])
    expect(trial.open.value).toBe(false)
  })

  it('takes the next device when one is pulled out, or says that there is none', async () => {
    void trial.begin()
    asked[0]?.allow()
    await settled()
    all[1]?.stop()
    all[1]?.dispatchEvent(new Event('ended'))
    await settled()
    expect(asked).toHaveLength(2)
    asked[1]?.refuse('NotAllowedError')
    await settled()
    expect(trial.fault.value).toBe('refused')
    expect(open()).toEqual([])
  })
})
