/** Every call of the HTTP API that the pages make, by name. Methods, paths, requests and answers are checked against the server's. */

import type { Operations } from '@vouch/realtime/http'

import { request, upload } from './http'
import type { FindPersonRequest, Profile, Registration } from './types'

type Name = keyof Operations

/** The names in braces of a path, each with its value. */
type Values<Path extends string> = Path extends `${string}{${infer Each}}${infer Rest}` ? Readonly<Record<Each, string>> & Values<Rest> : unknown

type Body<N extends Name> = Operations[N]['request'] extends null ? [] : [body: Operations[N]['request'] & object]

function filled(path: string, values: unknown): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(Reflect.get(values as object, name))))
}

function call<N extends Name>(
  method: Operations[N]['method'],
  path: Operations[N]['path'],
  values: Values<Operations[N]['path']>,
  ...body: Body<N>
): Promise<Operations[N]['answer']> {
  return request<Operations[N]['answer']>(method, filled(path, values), body[0])
}

export const api = {
  register: (registration: Registration) => call<'register'>('POST', '/api/v1/registrations', {}, registration),
  signIn: (login: string, password: string) => call<'sign_in'>('POST', '/api/v1/sessions', {}, { login, password }),
  signOut: () => call<'sign_out'>('DELETE', '/api/v1/sessions/current', {}),

  me: () => call<'get_me'>('GET', '/api/v1/me', {}),
  changeMe: (profile: Profile) => call<'change_me'>('PATCH', '/api/v1/me', {}, profile),
  putAvatar: (file: Blob) => upload<Operations['put_avatar']['answer']>('/api/v1/me/avatar', file),
  deleteAvatar: () => call<'delete_avatar'>('DELETE', '/api/v1/me/avatar', {}),
  changePassword: (current: string, next: string) => call<'change_password'>('PUT', '/api/v1/me/password', {}, { current, new: next }),
  deleteMe: (password: string) => call<'delete_me'>('DELETE', '/api/v1/me', {}, { password }),

  sessions: () => call<'list_sessions'>('GET', '/api/v1/sessions', {}),
  revokeSession: (session: string) => call<'revoke_session'>('DELETE', '/api/v1/sessions/{session}', { session }),
  revokeOtherSessions: () => call<'revoke_other_sessions'>('DELETE', '/api/v1/sessions', {}),

  findPerson: (by: FindPersonRequest) => call<'find_person'>('POST', '/api/v1/people/search', {}, by),
  person: (person: string) => call<'get_person'>('GET', '/api/v1/people/{person}', { person }),
  cards: (ids: string[]) => call<'get_cards'>('POST', '/api/v1/people/cards', {}, { ids }),

  friends: () => call<'list_friends'>('GET', '/api/v1/friends', {}),
  requestFriend: (person: string, note: string) => call<'request_friend'>('POST', '/api/v1/friends/requests', {}, { person, note }),
  withdrawRequest: (person: string) => call<'withdraw_request'>('DELETE', '/api/v1/friends/requests/{person}', { person }),
  acceptFriend: (person: string) => call<'accept_friend'>('POST', '/api/v1/friends/requests/{person}/accept', { person }),
  declineFriend: (person: string) => call<'decline_friend'>('POST', '/api/v1/friends/requests/{person}/decline', { person }),
  removeFriend: (person: string) => call<'remove_friend'>('DELETE', '/api/v1/friends/{person}', { person }),
  block: (person: string) => call<'block'>('PUT', '/api/v1/blocks/{person}', { person }),
  unblock: (person: string) => call<'unblock'>('DELETE', '/api/v1/blocks/{person}', { person }),

  /** `before` is the `next` of the page before; null: the most recently active ones. */
  conversations: (before: string | null) => {
    const path: Operations['list_conversations']['path'] = '/api/v1/conversations'
    const query = new URLSearchParams(before === null ? { limit: '50' } : { limit: '50', before })
    return request<Operations['list_conversations']['answer']>('GET', `${path}?${query}`)
  },
  conversation: (id: string) => call<'get_conversation'>('GET', '/api/v1/conversations/{id}', { id }),
  createDirect: (person: string) => call<'create_conversation'>('POST', '/api/v1/conversations', {}, { kind: 'direct', person }),
  createGroup: (title: string, members: string[], shareHistory: boolean, key: string) =>
    call<'create_conversation'>('POST', '/api/v1/conversations', {}, { kind: 'group', title, members, share_history: shareHistory, key }),
  rename: (id: string, title: string) => call<'change_conversation'>('PATCH', '/api/v1/conversations/{id}', { id }, { title }),
  addMembers: (id: string, persons: string[]) => call<'add_members'>('POST', '/api/v1/conversations/{id}/members', { id }, { persons }),
  removeMember: (id: string, person: string) => call<'remove_member'>('DELETE', '/api/v1/conversations/{id}/members/{person}', { id, person }),
  handOver: (id: string, person: string) => call<'hand_over'>('PUT', '/api/v1/conversations/{id}/owner', { id }, { person }),
}

/** 128 random bits as 22 characters: repeating a request with the same key is safe. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}
