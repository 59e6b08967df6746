/** Every call of the HTTP API that the pages make, by name. Methods, paths, requests and answers are checked against the server's. */

import type { Media } from '@vouch/realtime'
import type { Operations } from '@vouch/realtime/http'

import { request, sendPiece, upload } from './http'
import type { AddSubscription, FindPersonRequest, MakeReport, NotificationSettings, Notify, Profile, Registration, SearchKind } from './types'

/** What `GET /search` is asked; null: not told. `from` and `to` (excluded) are milliseconds. */
export interface SearchWishes {
  readonly q: string
  readonly conversation: string | null
  readonly person: string | null
  readonly kind: SearchKind | null
  readonly from: number | null
  readonly to: number | null
}

type Name = keyof Operations

/** The names in braces of a path, each with its value. */
type Values<Path extends string> = Path extends `${string}{${infer Each}}${infer Rest}` ? Readonly<Record<Each, string>> & Values<Rest> : unknown

type Body<N extends Name> = Operations[N]['request'] extends null ? [] : [body: Operations[N]['request'] & object]

function filled(path: string, values: unknown): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(Reflect.get(values as object, name))))
}

export function call<N extends Name>(
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
  /** What a message carries, for another conversation. */
  copyMedia: (id: string, conversation: string) => request<Media>('POST', `/api/v1/media/${id}/copies`, { conversation }),
  positions: (id: string) => call<'list_positions'>('GET', '/api/v1/conversations/{id}/positions', { id }),
  pins: (id: string) => call<'list_pins'>('GET', '/api/v1/conversations/{id}/pins', { id }),
  pin: (id: string, seq: number) => call<'pin_message'>('PUT', '/api/v1/conversations/{id}/pins/{seq}', { id, seq: String(seq) }),
  unpin: (id: string, seq: number) => call<'unpin_message'>('DELETE', '/api/v1/conversations/{id}/pins/{seq}', { id, seq: String(seq) }),
  versions: (id: string, seq: number) => call<'list_versions'>('GET', '/api/v1/conversations/{id}/entries/{seq}/versions', { id, seq: String(seq) }),
  /** The threads that began with the messages `first … last`. */
  threads: (id: string, first: number, last: number) =>
    request<Operations['list_threads']['answer']>('GET', `/api/v1/conversations/${id}/threads?first=${first}&last=${last}`),
  /** The newest answers of a thread, or those before a number. */
  thread: (id: string, seq: number, before: number | null) =>
    request<Operations['get_thread']['answer']>('GET', `/api/v1/conversations/${id}/threads/${seq}${before === null ? '' : `?before=${before}`}`),
  handOver: (id: string, person: string) => call<'hand_over'>('PUT', '/api/v1/conversations/{id}/owner', { id }, { person }),

  /** `before` is the `next` of the page before; null: the newest hits. */
  search: (wishes: SearchWishes, before: string | null) => {
    const path: Operations['search']['path'] = '/api/v1/search'
    const all = Object.entries({ ...wishes, before }).filter(([, value]) => value !== null && value !== '')
    return request<Operations['search']['answer']>('GET', `${path}?${new URLSearchParams(all.map(([name, value]) => [name, String(value)]))}`)
  },

  uploadLimits: () => call<'get_upload_limits'>('GET', '/api/v1/uploads/limits', {}),
  createUpload: (wanted: Operations['start_upload']['request']) => call<'start_upload'>('POST', '/api/v1/uploads', {}, wanted),
  upload: (id: string) => call<'get_upload'>('GET', '/api/v1/uploads/{id}', { id }),
  /** `moved` hears how many bytes of the piece have left. */
  sendPiece: (id: string, offset: number, piece: Blob, moved: (bytes: number) => void, signal: AbortSignal) => {
    const path: Operations['continue_upload']['path'] = '/api/v1/uploads/{id}'
    return sendPiece<Operations['continue_upload']['answer']>(`${filled(path, { id })}?offset=${offset}`, piece, moved, signal)
  },
  dropUpload: (id: string) => call<'cancel_upload'>('DELETE', '/api/v1/uploads/{id}', { id }),

  notificationSettings: () => call<'get_notification_settings'>('GET', '/api/v1/me/notifications', {}),
  putNotificationSettings: (wanted: NotificationSettings) => call<'put_notification_settings'>('PUT', '/api/v1/me/notifications', {}, wanted),
  notify: (id: string, wanted: Notify) => call<'put_notify'>('PUT', '/api/v1/conversations/{id}/notify', { id }, wanted),
  pushKey: () => call<'get_push_key'>('GET', '/api/v1/push/key', {}),
  subscriptions: () => call<'list_subscriptions'>('GET', '/api/v1/push/subscriptions', {}),
  addSubscription: (wanted: AddSubscription) => call<'add_subscription'>('POST', '/api/v1/push/subscriptions', {}, wanted),
  removeSubscription: (id: string) => call<'remove_subscription'>('DELETE', '/api/v1/push/subscriptions/{id}', { id }),

  setRole: (id: string, person: string, role: 'admin' | 'member') =>
    call<'change_member'>('PATCH', '/api/v1/conversations/{id}/members/{person}', { id, person }, { role }),
  /** `until` null: they may write again. */
  silence: (id: string, person: string, until: number | null) =>
    call<'silence_member'>('PUT', '/api/v1/conversations/{id}/members/{person}/silence', { id, person }, { until }),
  setCallers: (id: string, by: 'admins' | 'members') => call<'change_conversation'>('PATCH', '/api/v1/conversations/{id}', { id }, { everybody_by: by }),

  report: (report: MakeReport) => call<'report'>('POST', '/api/v1/reports', {}, report),
}

/** 128 random bits as 22 characters: repeating a request with the same key is safe. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}
