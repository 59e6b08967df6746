/** What the HTTP API takes and gives (docs/http.md). Times are milliseconds since 1970-01-01T00:00Z. */

import type { Entry } from '@vouch/realtime'

export type Language = 'zh-CN' | 'en'

export interface PersonCard {
  id: string
  handle: string
  /** Empty when the account was deleted. */
  name: string
  avatar: string | null
  introduction: string
}

export interface Me extends PersonCard {
  language: Language
  /** IANA name. */
  time_zone: string
  /** YYYY-MM-DD */
  birth_date: string | null
  minor: boolean
  /** E.164 */
  phone: string | null
  created_at: number
}

export type Profile = Partial<Pick<Me, 'name' | 'introduction' | 'language' | 'time_zone' | 'birth_date' | 'phone' | 'handle'>>

export interface SessionView {
  id: string
  kind: 'browser' | 'token'
  name: string
  created_at: number
  seen_at: number
  ip: string
  current: boolean
}

/** How the other one stands to me; `blocked`: I block them. */
export type Relation = 'self' | 'none' | 'friend' | 'incoming' | 'outgoing' | 'blocked'

export interface PersonView extends PersonCard {
  relation: Relation
}

export interface Friend {
  person: PersonCard
  since: number
}

export interface FriendRequest {
  person: PersonCard
  note: string
  at: number
}

export interface Friends {
  friends: Friend[]
  incoming: FriendRequest[]
  outgoing: FriendRequest[]
  blocked: PersonCard[]
}

export interface Member {
  person: string
  role: 'owner' | 'member'
  joined_at: number
}

export interface MemberPosition {
  person: string
  read: number
  delivered: number
}

export interface Conversation {
  id: string
  ch: string
  kind: 'direct' | 'group'
  /** Empty for direct conversations. */
  title: string
  members: Member[]
  people: PersonCard[]
  closed: boolean
  share_history: boolean
  created_at: number
  version: number
  head: number
  n: number
  /** The newest message. */
  last: Entry | null
  active_at: number
  read: number
  read_n: number
  delivered: number
  first: number
  /** How far the others are; absent in large groups. */
  positions?: MemberPosition[]
}

export interface Registration {
  handle: string
  password: string
  name: string
  language?: Language
  time_zone?: string
  birth_date?: string
  phone?: string
}
