/** The calls about second factors and guardians: apart from the others, for chats do without them. */

import type { Operations, Purpose } from '@vouch/realtime/http'

import { call } from '.'
import { request } from './http'

export type { Assertion, Custody, Factors, FactorView, Family, GuardianView, Method, PasskeyRequest, Proof, Purpose, TotpSetup, WardView } from '@vouch/realtime/http'

export type Facts = Readonly<Record<string, string | number>>
/** That it is oneself who adds a factor: the password for the first one, a proof for another. */
export type Confirmation = { readonly password: string } | { readonly proof: string }

export const safety = {
  factors: () => call<'list_factors'>('GET', '/api/v1/me/factors', {}),
  beginTotp: (name: string, confirmation: Confirmation) => call<'begin_totp'>('POST', '/api/v1/me/factors/totp', {}, { name, ...confirmation }),
  addTotp: (setup: string, code: string) => call<'add_totp'>('POST', '/api/v1/me/factors/totp/{setup}', { setup }, { code }),
  beginPasskey: (name: string, confirmation: Confirmation) => call<'begin_passkey'>('POST', '/api/v1/me/factors/passkeys', {}, { name, ...confirmation }),
  addPasskey: (setup: string, made: Operations['add_passkey']['request']) => call<'add_passkey'>('POST', '/api/v1/me/factors/passkeys/{setup}', { setup }, made),
  removeFactor: (factor: string, proof: string) => call<'remove_factor'>('DELETE', '/api/v1/me/factors/{factor}', { factor }, { proof }),
  renewCodes: (proof: string) => call<'renew_recovery_codes'>('POST', '/api/v1/me/recovery-codes', {}, { proof }),
  beginProof: (purpose: Purpose, facts: Facts) => call<'begin_proof'>('POST', '/api/v1/me/proofs', {}, { purpose, facts: { ...facts } }),
  makeProof: (proof: string, answer: Operations['make_proof']['request']) => call<'make_proof'>('POST', '/api/v1/me/proofs/{proof}', { proof }, answer),
  resetFactors: (person: string) => call<'reset_factors'>('DELETE', '/api/v1/admin/users/{person}/factors', { person }),

  family: () => call<'get_family'>('GET', '/api/v1/me/family', {}),
  askGuardian: (person: string) => call<'ask_guardian'>('POST', '/api/v1/me/guardians', {}, { person }),
  confirmGuardian: (person: string) => call<'confirm_guardian'>('POST', '/api/v1/me/guardians/{person}/confirm', { person }),
  endGuardian: (person: string) => call<'end_guardian'>('DELETE', '/api/v1/me/guardians/{person}', { person }),
  askWard: (person: string) => call<'ask_ward'>('POST', '/api/v1/me/wards', {}, { person }),
  confirmWard: (person: string) => call<'confirm_ward'>('POST', '/api/v1/me/wards/{person}/confirm', { person }),
  endWard: (person: string) => call<'end_ward'>('DELETE', '/api/v1/me/wards/{person}', { person }),
  handOverWard: (person: string, guardian: string) => call<'hand_over_ward'>('PUT', '/api/v1/me/wards/{person}/payee', { person }, { guardian }),

  findCustody: (handle: string) => request<Operations['find_custody']['answer']>('GET', `/api/v1/staff/custody?${new URLSearchParams({ handle })}`),
  changeCustody: (person: string, guardian: string, reason: string) => call<'change_custody'>('PUT', '/api/v1/staff/custody/{person}', { person }, { guardian, reason }),
  endCustody: (person: string, guardian: string, reason: string) =>
    call<'end_custody'>('DELETE', '/api/v1/staff/custody/{person}/guardians/{guardian}', { person, guardian }, { reason }),
  correctBirthDate: (person: string, birthDate: string, reason: string) =>
    call<'correct_birth_date'>('PUT', '/api/v1/staff/custody/{person}/birth-date', { person }, { birth_date: birthDate, reason }),
}
