/** The public face: what an application sees of the client. */

import type { Stop } from './emitter.js'
import type { FaultCode } from './faults.js'
import type { Ack, Code, Entry, Gap, Page } from './generated/protocol.js'

/** `connecting`: the first attempt or a new one. `offline`: waits for the next. `ended`: will not come back by itself. */
export type State = 'idle' | 'connecting' | 'online' | 'offline' | 'ended'

export interface StateInfo {
  /** The last close code, the server's or the network's. */
  closeCode?: number
  reason?: string
  /** When the next attempt is made, in the environment's milliseconds (Date.now() in browsers). */
  retryAt?: number
}

/** `waiting`: offline, or behind others of its channel. `sent`: acknowledged, its entry is still on the way here. */
export type PendingState = 'waiting' | 'sending' | 'failed' | 'sent'

/** An append that is not yet an entry of the log, as far as this client knows. Never changes: a new one takes its place. */
export interface Pending {
  readonly id: string
  readonly ch: string
  readonly kind: string
  readonly body: Readonly<Record<string, unknown>>
  readonly ref: number | null
  /** When it was written, milliseconds. */
  readonly at: number
  readonly state: PendingState
  /** Why it failed. */
  readonly error?: { readonly code: FaultCode; readonly message: string; readonly field?: string }
  /** Its number, once it is `sent`. */
  readonly seq?: number
}

/** Where a channel and the person's own positions in it stand. Unread is `n − read_n`. */
export interface ChannelInfo {
  readonly head: number
  readonly n: number
  readonly first: number
  readonly read: number
  readonly read_n: number
  readonly delivered: number
  readonly write: boolean
  readonly signal: boolean
}

export interface SignalInfo {
  readonly by: string
  readonly kind: string
  readonly body: Readonly<Record<string, unknown>>
}

export interface PositionInfo {
  readonly by: string
  readonly read: number
  readonly read_n: number
  readonly delivered: number
}

/** `hole`: the server skipped numbers again and again; the entries are to be had by `history` only. */
export type ResetReason = Gap | 'hole'

export interface ChannelEvents {
  /** The next entry, in order and once. */
  entry: [entry: Entry]
  /** What was missed cannot be replayed: drop the cached entries of this channel and load `history`. */
  reset: [reason: ResetReason]
  signal: [signal: SignalInfo]
  /** Who is here, and how many: beyond some number nobody is named. Empty while not connected. */
  presence: [online: ReadonlySet<string>, count: number]
  position: [position: PositionInfo]
  info: [info: ChannelInfo]
  /** The channel cannot be (or no longer be) subscribed. `open()` tries again. */
  dropped: [code: Code]
  /** The appends of this channel that are not yet entries, oldest first. */
  pending: [pending: readonly Pending[]]
}

export interface HistoryRange {
  before?: number
  after?: number
  /** 1 … 200; 50 unless told. */
  limit?: number
  signal?: AbortSignal
}

export type HistoryPage = Page & { modifiers: Entry[] }

export interface OpenOptions {
  /**
   * The last entry that the application has: what came after it is replayed. Without it the channel starts live.
   * Only the first of several open handles has its way.
   */
  after?: number
}

/** One holder's view of a channel. The channel is subscribed while at least one handle is open. */
export interface ChannelHandle {
  readonly ch: string
  /** What the server told at the last subscription, kept up to date; null before. */
  readonly info: ChannelInfo | null
  readonly online: ReadonlySet<string>
  readonly pending: readonly Pending[]
  open(options?: OpenOptions): this
  /** Its listeners hear nothing until it is opened again. */
  release(): void
  on<Name extends keyof ChannelEvents>(name: Name, listener: (...values: ChannelEvents[Name]) => void): Stop
  /** Waits for a connection if there is none. Rejects with RealtimeError. */
  history(range?: HistoryRange): Promise<HistoryPage>
  /**
   * Puts an entry into the outbox and returns at once. Who must not send twice over a restart gives an `id` of their own
   * (22 characters of base64url): what is in the outbox or the log under it is not sent again.
   */
  send(kind: string, body: object, ref?: number | null, id?: string): Pending
  /** As `send`; resolves with the acknowledgement, rejects with RealtimeError when it fails or is discarded. */
  append(kind: string, body: object, ref?: number | null, id?: string): Promise<Ack>
  /** Reaches who is there now; lost while offline. */
  signal(kind: string, body: object): void
  /** Moves the own positions forward; lower ones than before have no effect. */
  position(position: { read?: number; delivered?: number }): void
}

export interface RealtimeEvents {
  state: [state: State, info: StateInfo]
  /** An entry of the own inbox. */
  inbox: [entry: Entry]
  /** The inbox has just begun (`start`) or cannot tell what was missed: load people and conversations again. */
  stale: [reason: ResetReason | 'start']
  /** How many appends wait or are being sent, in all channels; failed ones are not counted. */
  pending: [count: number]
  /** Something that is not as the protocol says, or storage that does not work. For logs; nothing to be done. */
  fault: [what: string, detail: unknown]
}

export interface Realtime {
  readonly state: State
  readonly stateInfo: StateInfo
  /** The person's id, once known. */
  readonly who: string | null
  /** Changes when the database was restored and old numbers mean nothing any more. */
  readonly epoch: string | null
  readonly pendingCount: number
  connect(): void
  /** Ends the connection; what is unsent stays stored. `connect()` may follow. */
  close(): void
  /** Closes, and erases everything that is stored for this person. */
  forget(): Promise<void>
  on<Name extends keyof RealtimeEvents>(name: Name, listener: (...values: RealtimeEvents[Name]) => void): Stop
  channel(ch: string): ChannelHandle
  /** Everything unsent, oldest first, in all channels. */
  pending(): readonly Pending[]
  /** Sends a failed append again. False when there is none with this id. */
  retry(id: string): boolean
  /** Forgets an append that failed or still waits. False when it is on its way, or unknown. */
  discard(id: string): boolean
  /** The network or the page is back: tries at once, or asks an open connection whether it still lives. */
  wake(): void
  /** The page is hidden or leaves: tells at once what would have been gathered. */
  hurry(): void
}
