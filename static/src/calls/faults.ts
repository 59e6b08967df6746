/** Why a device could not be opened, or is gone: stable words, for which the pages have sentences. Pure. */

/**
 * `refused`: by the person or their settings; `busy`: another program has it; `absent`: there is none; `unsupported`: this browser, or an
 * address without https; `unplugged`: it was open and is gone; `replaced`: it is gone, and another one has taken its place.
 */
export type DeviceFault = 'refused' | 'busy' | 'absent' | 'unsupported' | 'unplugged' | 'replaced'

export function deviceFault(error: unknown): DeviceFault {
  if (error instanceof DeviceError) return error.fault
  const name: unknown = error !== null && typeof error === 'object' ? Reflect.get(error, 'name') : undefined
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
    case 'PermissionDeniedError': // older Safari
      return 'refused'
    case 'NotFoundError':
    case 'OverconstrainedError':
    case 'DevicesNotFoundError':
      return 'absent'
    case 'NotReadableError':
    case 'AbortError':
    case 'TrackStartError':
      return 'busy'
    default:
      return 'unsupported'
  }
}

export class DeviceError extends Error {
  override readonly name = 'DeviceError'

  constructor(
    readonly what: 'voice' | 'camera' | 'screen',
    readonly fault: DeviceFault,
  ) {
    super(`${what}: ${fault}`)
  }
}
