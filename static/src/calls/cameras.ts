/** The two sides of a phone: which camera looks at whoever holds it, and which at what lies before them. Pure. */

type Side = 'front' | 'back'

const BACK = /\b(back|rear|environment)\b|后|後|背/i
const FRONT = /\b(front|user|face ?time)\b|前/i

/** What the browser says of a camera, or else the name that the system gives it. Null: a computer's camera looks anywhere. */
function sideOf(device: MediaDeviceInfo): Side | null {
  const modes = 'getCapabilities' in device ? ((device as InputDeviceInfo).getCapabilities().facingMode ?? []) : []
  if (modes.includes('environment')) return 'back'
  if (modes.includes('user')) return 'front'
  return BACK.test(device.label) ? 'back' : FRONT.test(device.label) ? 'front' : null
}

/** The wide and the far ones of a side have longer names than the plain one, or higher numbers. */
function plainFirst(one: MediaDeviceInfo, other: MediaDeviceInfo): number {
  return one.label.length - other.label.length || one.label.localeCompare(other.label)
}

/** The id of the camera that looks the other way than `open`; null where none is known to. */
export function otherSide(devices: readonly MediaDeviceInfo[], open: MediaTrackSettings): string | null {
  const cameras = devices.filter((each) => each.kind === 'videoinput' && each.deviceId !== '')
  const used = cameras.find((each) => each.deviceId === open.deviceId)
  const side = open.facingMode === 'environment' ? 'back' : open.facingMode === 'user' ? 'front' : used ? sideOf(used) : null
  if (side === null) return null
  return cameras.filter((each) => sideOf(each) === (side === 'back' ? 'front' : 'back')).sort(plainFirst)[0]?.deviceId ?? null
}
