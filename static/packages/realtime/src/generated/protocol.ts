// Written by `python -m scripts.generate` from the server's types. Change those, not this.

/**
 * Why a resume could not replay what was missed: the client refetches the channel by `history`.
 */
export type Gap = 'ahead' | 'behind' | 'epoch' | 'rights' | 'snapshot'

/**
 * The stable codes. The value is what goes over the wire.
 */
export type Code =
  | 'already'
  | 'bad_request'
  | 'blocked'
  | 'closed'
  | 'conflict'
  | 'forbidden'
  | 'handle_taken'
  | 'idempotency_conflict'
  | 'internal'
  | 'limit_reached'
  | 'malformed'
  | 'method_not_allowed'
  | 'not_found'
  | 'out_of_order'
  | 'phone_taken'
  | 'stale'
  | 'too_large'
  | 'too_often'
  | 'try_later'
  | 'unauthenticated'
  | 'unavailable'
  | 'unknown_frame'
  | 'unsupported_version'
  | 'wrong_credentials'
  | 'xsrf'

/**
 * The first frame. Browsers are known by their cookie; programs send `token`. `epoch` is from the last
 * `welcome`.
 */
export interface Hello {
  t: 'hello'
  v: number
  token?: string | null
  epoch?: string | null
}

/**
 * Each channel is answered by `subscribed` (then what was missed, then live entries) or `refused`.
 */
export interface Subscribe {
  t: 'subscribe'
  rid: number
  channels: Want[]
}

/**
 * One channel of a `subscribe`: `after` is the last entry the client has; null starts live at the head.
 */
export interface Want {
  ch: string
  after?: number | null
}

export interface Unsubscribe {
  t: 'unsubscribe'
  rid: number
  channels: string[]
}

/**
 * Adds an entry. Answered by `ack` once it is durable, or by `error` with the same `id`.
 */
export interface Append {
  t: 'append'
  id: string
  ch: string
  kind: string
  body: unknown
  ref?: number | null
}

/**
 * Something that is true only now (typing …): reaches who is there, is never stored, has no answer.
 */
export interface Signal {
  t: 'signal'
  ch: string
  kind: string
  body: unknown
}

/**
 * Moves the person's own positions in a channel forward; going back has no effect.
 */
export interface Position {
  t: 'position'
  ch: string
  read?: number | null
  delivered?: number | null
}

/**
 * Asks for a page: the last `limit` entries before `before`, or the first after `after`; neither: the newest.
 */
export interface History {
  t: 'history'
  rid: number
  ch: string
  before?: number | null
  after?: number | null
  limit?: number
}

/**
 * For clients that cannot send WebSocket pings.
 */
export interface Ping {
  t: 'ping'
  rid: number
}

/**
 * The connection is signed in. `ping_every` is the server's heartbeat in seconds.
 */
export interface Welcome {
  t: 'welcome'
  v: number
  epoch: string
  node: string
  who: string
  kind: string
  /**
   * milliseconds since 1970-01-01T00:00Z
   */
  at: number
  ping_every: number
}

/**
 * The channel is live from here; missed entries follow as `entry` frames unless `gap` says why they cannot.
 *
 * `head` and `n` are the newest entry's numbers, `last` that entry itself; `read` and `delivered` are the
 * person's own positions, `read_n` the count at `read`; `first` is the lowest number this person may see.
 */
export interface Subscribed {
  t: 'subscribed'
  rid: number
  ch: string
  head: number
  n: number
  write?: boolean
  signal?: boolean
  first?: number
  read?: number
  read_n?: number
  delivered?: number
  gap?: Gap | null
}

/**
 * This channel cannot be subscribed; unknown channels and forbidden ones look alike.
 */
export interface Refused {
  t: 'refused'
  rid: number
  ch: string
  code: Code
}

export interface Unsubscribed {
  t: 'unsubscribed'
  rid: number
}

/**
 * An entry, in order and once: its number is the last one's plus 1.
 */
export interface EntryEvent {
  t: 'entry'
  ch: string
  entry: Entry
}

/**
 * One entry of a channel's log, as every subscriber sees it.
 *
 * `n` counts the countable entries up to and including this one (unread = head.n − read.n); `id` is the client's
 * id; `by` is the sender's id or `system`; `ref` is the number of the entry that a modifier (edit, deletion,
 * reaction) is about; `gone` tells that a deletion has scrubbed the body.
 */
export interface Entry {
  seq: number
  n: number
  /**
   * milliseconds since 1970-01-01T00:00Z
   */
  at: number
  by: string
  id: string
  kind: string
  body: Record<string, unknown>
  ref?: number | null
  gone?: boolean
}

/**
 * The entry with this client id is durable and has this number. A repeat gets the first acknowledgement again.
 */
export interface Ack {
  t: 'ack'
  id: string
  ch: string
  seq: number
  n: number
  /**
   * milliseconds since 1970-01-01T00:00Z
   */
  at: number
}

/**
 * A refusal: of the request `rid`, of the append `id`, or of a frame that carried neither.
 */
export interface ErrorFrame {
  t: 'error'
  code: Code
  message: string
  rid?: number | null
  id?: string | null
  ch?: string | null
  field?: string | null
  retry_after?: number | null
}

export interface PageEvent {
  t: 'page'
  rid: number
  page: Page
}

/**
 * Entries `first … last` of a channel, and the modifiers outside the page whose `ref` lies in it.
 */
export interface Page {
  ch: string
  head: number
  n: number
  first: number
  entries: Entry[]
  modifiers?: Entry[]
}

/**
 * Coalesced: of several signals of one kind by one sender within 100 ms only the last arrives.
 */
export interface SignalEvent {
  t: 'signal'
  ch: string
  by: string
  kind: string
  body: Record<string, unknown>
}

/**
 * Who is here. `online` is a snapshot (after `subscribed`); `joined` and `left` are changes.
 */
export interface Presence {
  t: 'presence'
  ch: string
  online?: string[] | null
  joined?: string[]
  left?: string[]
}

/**
 * Somebody's positions have moved: another device of one's own, or another member.
 */
export interface PositionEvent {
  t: 'position'
  ch: string
  by: string
  read: number
  read_n: number
  delivered: number
}

/**
 * The subscription has ended (removed from the group, channel deleted).
 */
export interface Dropped {
  t: 'dropped'
  ch: string
  code: Code
}

export interface Pong {
  t: 'pong'
  rid: number
  /**
   * milliseconds since 1970-01-01T00:00Z
   */
  at: number
}

/**
 * The last frame before the server closes; `close` is the close code that follows.
 */
export interface Bye {
  t: 'bye'
  close: number
  reason: string
  retry_after?: number | null
}

/** Every frame that a client may send. */
export type ClientFrame =
  | Hello
  | Subscribe
  | Unsubscribe
  | Append
  | Signal
  | Position
  | History
  | Ping

/** Every frame that the server sends. */
export type ServerFrame =
  | Welcome
  | Subscribed
  | Refused
  | Unsubscribed
  | EntryEvent
  | Ack
  | ErrorFrame
  | PageEvent
  | SignalEvent
  | Presence
  | PositionEvent
  | Dropped
  | Pong
  | Bye

/** An entry whose kind and body are known. The body of a scrubbed entry (`gone`) is empty. */
export type EntryOf<K extends string, B> = Omit<Entry, 'kind' | 'body'> & { kind: K; body: B }

export const VERSION = 1
export const MAX_FRAME = 131072
export const MAX_BODY = 65536
export const MAX_PAGE = 200
export const MAX_REPLAY = 1000
export const MAX_CHANNELS_PER_FRAME = 500
export const MAX_CHANNELS = 2000
export const HELLO_WITHIN = 10

/** Close codes: 4000–4499 come back and resume, 4500–4999 do not come back by themselves. */
export const CLOSE = {
  /** The server is stopping or restarting. Resume at once; another node may answer. */
  GOING_AWAY: 4000,
  /** More than 1 MiB, or 10 s, of frames were waiting for this client. Resume. */
  SLOW_CONSUMER: 4001,
  /** No pong came for two heartbeats. Resume. */
  NO_HEARTBEAT: 4002,
  /** The server met a fault of its own on this connection. Resume with back-off. */
  INTERNAL: 4003,
  /** Too many frames in too short a time. Resume with back-off. */
  FLOOD: 4004,
  /** The server cannot serve this connection at the moment. Resume with back-off. */
  TRY_LATER: 4005,
  /** This person has too many open connections. Resume with back-off. */
  TOO_MANY_CONNECTIONS: 4006,
  /** Too many frames were not of a known form: the client has a fault. */
  MALFORMED: 4500,
  /** No valid sign-in came within 10 s. */
  UNAUTHENTICATED: 4501,
  /** This sign-in was ended (signed out, revoked, password changed, account deleted). */
  SIGNED_OUT: 4502,
  /** The server does not speak this version: reload or update the client. */
  UNSUPPORTED_VERSION: 4503,
  /** A frame was larger than 128 KiB. */
  TOO_LARGE: 4504,
  /** A frame came before `hello`, or a second `hello`. */
  OUT_OF_ORDER: 4505,
} as const

/** All error codes; the type `Code` is their union. */
export const CODES = [
  'bad_request',
  'malformed',
  'unknown_frame',
  'out_of_order',
  'too_large',
  'unsupported_version',
  'unauthenticated',
  'wrong_credentials',
  'xsrf',
  'forbidden',
  'not_found',
  'method_not_allowed',
  'conflict',
  'handle_taken',
  'phone_taken',
  'idempotency_conflict',
  'stale',
  'blocked',
  'closed',
  'already',
  'limit_reached',
  'too_often',
  'try_later',
  'unavailable',
  'internal',
] as const satisfies readonly Code[]

