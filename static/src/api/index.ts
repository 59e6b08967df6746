/** Every call of the HTTP API that the pages make, by name. */

import { request, upload } from './http'
import type {
  Conversation,
  Friends,
  Me,
  PersonCard,
  PersonView,
  Profile,
  Registration,
  SessionView,
} from './types'

const at = encodeURIComponent

export const api = {
  register: (registration: Registration) => request<Me>('POST', '/registrations', registration),
  signIn: (login: string, password: string) => request<{ me: Me; session: SessionView }>('POST', '/sessions', { login, password }),
  signOut: () => request('DELETE', '/sessions/current'),

  me: () => request<Me>('GET', '/me'),
  changeMe: (profile: Profile) => request<Me>('PATCH', '/me', profile),
  putAvatar: (file: Blob) => upload<Me>('/me/avatar', file),
  deleteAvatar: () => request<Me>('DELETE', '/me/avatar'),
  changePassword: (current: string, next: string) => request('PUT', '/me/password', { current, new: next }),
  deleteMe: (password: string) => request('DELETE', '/me', { password }),

  sessions: () => request<{ sessions: SessionView[] }>('GET', '/sessions'),
  revokeSession: (id: string) => request('DELETE', `/sessions/${at(id)}`),
  revokeOtherSessions: () => request<{ ended: number }>('DELETE', '/sessions'),

  findPerson: (by: { handle: string } | { phone: string }) => request<PersonView>('POST', '/people/search', by),
  person: (id: string) => request<PersonView>('GET', `/people/${at(id)}`),
  cards: (ids: string[]) => request<{ people: PersonCard[] }>('POST', '/people/cards', { ids }),

  friends: () => request<Friends>('GET', '/friends'),
  requestFriend: (person: string, note: string) =>
    request<PersonView>('POST', '/friends/requests', note ? { person, note } : { person }),
  withdrawRequest: (person: string) => request('DELETE', `/friends/requests/${at(person)}`),
  acceptFriend: (person: string) => request<PersonView>('POST', `/friends/requests/${at(person)}/accept`),
  declineFriend: (person: string) => request('POST', `/friends/requests/${at(person)}/decline`),
  removeFriend: (person: string) => request('DELETE', `/friends/${at(person)}`),
  block: (person: string) => request<PersonView>('PUT', `/blocks/${at(person)}`),
  unblock: (person: string) => request<PersonView>('DELETE', `/blocks/${at(person)}`),

  conversations: (before: string | null) =>
    request<{ conversations: Conversation[]; next: string | null }>(
      'GET',
      `/conversations?limit=50${before === null ? '' : `&before=${at(before)}`}`,
    ),
  conversation: (id: string) => request<Conversation>('GET', `/conversations/${at(id)}`),
  createDirect: (person: string) => request<Conversation>('POST', '/conversations', { kind: 'direct', person }),
  createGroup: (title: string, members: string[], shareHistory: boolean, key: string) =>
    request<Conversation>('POST', '/conversations', { kind: 'group', title, members, share_history: shareHistory, key }),
  rename: (id: string, title: string) => request<Conversation>('PATCH', `/conversations/${at(id)}`, { title }),
  addMembers: (id: string, persons: string[]) => request<Conversation>('POST', `/conversations/${at(id)}/members`, { persons }),
  removeMember: (id: string, person: string) => request('DELETE', `/conversations/${at(id)}/members/${at(person)}`),
  handOver: (id: string, person: string) => request<Conversation>('PUT', `/conversations/${at(id)}/owner`, { person }),
}

/** 128 random bits as 22 characters: repeating a request with the same key is safe. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}
