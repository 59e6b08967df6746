/** Which camera is on the other side, by what browsers tell of them; and that turning lasts no longer than the call. */

import { nextTick } from 'vue'
import { afterEach, describe, expect, it, vi } from 'vitest'

import { otherSide } from '../src/calls/cameras'
import { OwnMedia } from '../src/calls/media'
import { chosenDevices, turnTo } from '../src/calls/devices'

function camera(deviceId: string, label: string, facingMode?: string[]): MediaDeviceInfo {
  return { deviceId, label, kind: 'videoinput', groupId: '', toJSON: () => null, ...(facingMode && { getCapabilities: () => ({ facingMode }) }) } as MediaDeviceInfo
}
const microphone = { ...camera('m', 'Back microphone'), kind: 'audioinput' } as MediaDeviceInfo

describe('the other side', () => {
  const android = [camera('1', 'camera2 1, facing front'), camera('2', 'camera2 2, facing back'), camera('0', 'camera2 0, facing back')]
  const iphone = [camera('a', 'Front Camera'), camera('b', 'Back Dual Wide Camera'), camera('c', 'Back Camera'), camera('d', 'Back Telephoto Camera')]
  const chinese = [camera('q', '前置相机'), camera('w', '后置超广角相机'), camera('h', '后置相机')]

  it('is found by the names systems give, and is the plain camera of that side', () => {
    expect(otherSide([microphone, ...android], { deviceId: '1' })).toBe('0')
    expect(otherSide(android, { deviceId: '2' })).toBe('1')
    expect(otherSide(iphone, { deviceId: 'a' })).toBe('c')
    expect(otherSide(iphone, { deviceId: 'd' })).toBe('a')
    expect(otherSide(chinese, { deviceId: 'q' })).toBe('h')
  })

  it('is what the browser itself says before any name', () => {
    const named = [camera('x', 'one', ['user']), camera('y', 'front of the house', ['environment'])]
    expect(otherSide(named, { deviceId: 'x' })).toBe('y')
    expect(otherSide(iphone, { deviceId: 'unknown', facingMode: 'user' })).toBe('c')
    expect(otherSide(iphone, { deviceId: 'unknown', facingMode: 'environment' })).toBe('a')
  })

  it('is nowhere on a computer, with one camera, or before the browser names any', () => {
    expect(otherSide([camera('1', 'HD Webcam'), camera('2', 'USB Camera')], { deviceId: '1' })).toBeNull()
    expect(otherSide([camera('1', 'FaceTime HD Camera')], { deviceId: '1' })).toBeNull()
    expect(otherSide([camera('', ''), camera('', '')], {})).toBeNull()
    expect(otherSide([], { facingMode: 'user' })).toBeNull()
  })
})

describe('turning', () => {
  afterEach(() => vi.unstubAllGlobals())

  it('opens the other camera at once, is not kept, and ends with the call or with another choice', async () => {
    const asked: MediaStreamConstraints[] = []
    const track = (id: string) => Object.assign(new EventTarget(), { kind: 'video', enabled: true, stop: vi.fn(), getSettings: () => ({ deviceId: id }) })
    vi.stubGlobal('navigator', { mediaDevices: { getUserMedia: (wants: MediaStreamConstraints) => (asked.push(wants), Promise.resolve({ getTracks: () => [track('any')] })) } })
    const { camera: inUse } = chosenDevices()
    inUse.value = 'front'
    await nextTick()
    const replaced = vi.fn(() => void media.open('camera'))
    const media = new OwnMedia(replaced, () => undefined)
    await media.open('camera')

    turnTo('back')
    await nextTick()
    expect(replaced).toHaveBeenCalledOnce()
    expect(JSON.stringify(asked.at(-1))).toContain('"back"')
    expect(JSON.parse(localStorage.getItem('vouch.devices') ?? '{}')).toMatchObject({ camera: 'front' })

    media.close()
    expect(inUse.value).toBe('front')

    turnTo('back')
    inUse.value = 'third'
    expect(inUse.value).toBe('third')
    await nextTick()
    expect(JSON.parse(localStorage.getItem('vouch.devices') ?? '{}')).toMatchObject({ camera: 'third' })
  })
})
