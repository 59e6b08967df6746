/** Passkeys between the server's words and the browser's. Bytes travel as base64url without padding. */

import type { Assertion, NewPasskey, PasskeyRequest, PasskeySetup } from '@vouch/realtime/http'

/** Milliseconds that the browser waits for a finger, a face or a PIN. */
const PATIENCE = 120_000

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(plain, (character) => character.charCodeAt(0))
}

export function textOf(bytes: ArrayBuffer): string {
  const plain = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join('')
  return btoa(plain).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/** Whether this browser can make and use them. */
export function knowsPasskeys(): boolean {
  return typeof PublicKeyCredential === 'function' && typeof navigator.credentials?.create === 'function'
}

/** Asks for a new passkey; null when the person has closed the browser's window, or has this passkey already. */
export async function createPasskey(setup: PasskeySetup): Promise<NewPasskey | null> {
  const made = await quiet(() =>
    navigator.credentials.create({
      publicKey: {
        challenge: bytesOf(setup.challenge),
        rp: { id: setup.rp_id, name: 'Vouch' },
        user: { id: bytesOf(setup.user_id), name: setup.user_name, displayName: setup.display_name },
        pubKeyCredParams: setup.algorithms.map((alg) => ({ type: 'public-key' as const, alg })),
        excludeCredentials: setup.exclude.map((id) => ({ type: 'public-key' as const, id: bytesOf(id) })),
        authenticatorSelection: { userVerification: 'required', residentKey: 'preferred' },
        attestation: 'none',
        timeout: PATIENCE,
      },
    }),
  )
  if (!(made instanceof PublicKeyCredential) || !(made.response instanceof AuthenticatorAttestationResponse)) return null
  const { response } = made
  return {
    id: textOf(made.rawId),
    client_data: textOf(response.clientDataJSON),
    attestation: textOf(response.attestationObject),
    transports: response.getTransports().slice(0, 8),
  }
}

/** Has a passkey sign; null when the person has closed the browser's window. */
export async function signWith(asked: PasskeyRequest): Promise<Assertion | null> {
  const given = await quiet(() =>
    navigator.credentials.get({
      publicKey: {
        challenge: bytesOf(asked.challenge),
        rpId: asked.rp_id,
        allowCredentials: asked.credentials.map((id) => ({ type: 'public-key' as const, id: bytesOf(id) })),
        userVerification: 'required',
        timeout: PATIENCE,
      },
    }),
  )
  if (!(given instanceof PublicKeyCredential) || !(given.response instanceof AuthenticatorAssertionResponse)) return null
  const { response } = given
  return {
    id: textOf(given.rawId),
    client_data: textOf(response.clientDataJSON),
    authenticator_data: textOf(response.authenticatorData),
    signature: textOf(response.signature),
  }
}

/** Closing the browser's own window, and letting it wait too long, is no fault. */
async function quiet(ask: () => Promise<Credential | null>): Promise<Credential | null> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof DOMException && ['NotAllowedError', 'AbortError', 'InvalidStateError'].includes(error.name)) return null
    throw error
  }
}
