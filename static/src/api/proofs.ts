/** The calls about live proofs. */

import type { Operations } from '@vouch/realtime/http'

import { call } from '.'
import type { Place } from '../proofs/types'
import { post } from './http'

export const proofs = {
  ask: (pledge: string, task: number) => call<'ask_photo_nonce'>('POST', '/api/v1/pledges/{id}/photos/nonces', { id: pledge }, { task }),
  /** `picture` is a JPEG in base64. */
  take: (pledge: string, nonce: string, picture: string, place: Place | null) => call<'take_photo'>('POST', '/api/v1/pledges/{id}/photos', { id: pledge }, { nonce, picture, place }),
  locate: (pledge: string, task: number, place: Place) => call<'share_location'>('POST', '/api/v1/pledges/{id}/locations', { id: pledge }, { task, place }),
  /** The pictures of a call that one may see, the newest first. */
  ofCall: (id: string) => call<'list_call_proofs'>('GET', '/api/v1/calls/{id}/proofs', { id }),
  /** Anybody may ask; the file is not kept. */
  verify: (file: Blob) => post<Operations['verify_proof']['answer']>('/api/v1/proofs/verify', file, 'application/octet-stream'),
}

/** The signed file, to be saved and passed on. */
export const fileOf = (proof: string): string => `/api/v1/proofs/${encodeURIComponent(proof)}/picture`
