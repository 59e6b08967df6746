/** The screen stays on for as long as one is in a call, and not longer. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApp, defineComponent, type App } from 'vue'

import { useAwake } from '../src/components/calls/awake'

class Lock {
  released = false
  release(): Promise<void> {
    this.released = true
    return Promise.resolve()
  }
}

let locks: Lock[]
let answer: () => Promise<Lock>
let app: App
let visible: DocumentVisibilityState

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))
const turn = async (to: DocumentVisibilityState): Promise<void> => {
  visible = to
  document.dispatchEvent(new Event('visibilitychange'))
  await settled()
}

beforeEach(() => {
  locks = []
  visible = 'visible'
  answer = () => Promise.resolve(locks[locks.push(new Lock()) - 1] as Lock)
  vi.stubGlobal('navigator', { wakeLock: { request: () => answer() } })
  vi.spyOn(document, 'visibilityState', 'get').mockImplementation(() => visible)
  app = createApp(
    defineComponent({
      setup() {
        useAwake()
        return () => null
      },
    }),
  )
})

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

describe('the screen in a call', () => {
  it('stays on until the call is over', async () => {
    app.mount(document.createElement('div'))
    await settled()
    expect(locks.map((lock) => lock.released)).toEqual([false])
    app.unmount()
    expect(locks.map((lock) => lock.released)).toEqual([true])
  })

  it('is asked for again when the browser has let go of it with a hidden page', async () => {
    app.mount(document.createElement('div'))
    await settled()
    await turn('hidden')
    if (locks[0]) locks[0].released = true
    await turn('visible')
    expect(locks.map((lock) => lock.released)).toEqual([true, false])
    app.unmount()
    await turn('visible')
    expect(locks.map((lock) => lock.released)).toEqual([true, true])
  })

  it('is let go of when it comes after the call is over, and may be refused', async () => {
    let give: (lock: Lock) => void = () => undefined
    answer = () => new Promise((resolve) => (give = resolve))
    app.mount(document.createElement('div'))
    app.unmount()
    const late = new Lock()
    give(late)
    await settled()
    expect(late.released).toBe(true)
    answer = () => Promise.reject(new DOMException('no', 'NotAllowedError'))
    await turn('visible')
    expect(locks).toEqual([])
  })
})
