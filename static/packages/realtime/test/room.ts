/** A client that is online, with one open channel; what the server's end of it says. */

import type { Client } from '../src/client.js'
import { memoryStorage } from '../src/storage.js'
import type { Storage } from '../src/storage.js'
import type { ChannelHandle, Pending } from '../src/types.js'
import { INBOX, ROOM, World, entry } from './world.js'
import type { Wire } from './world.js'

export interface Room {
  world: World
  client: Client
  handle: ChannelHandle
  wire: Wire
  storage: Storage
  /** What the application was told of the channel. */
  lines: string[]
}

type More = Parameters<Wire['subscribed']>[1]

export async function room(more: More = {}, storage: Storage = memoryStorage()): Promise<Room> {
  const world = new World()
  const client = world.client({ storage })
  const handle = client.channel(ROOM).open()
  const lines = heard(handle)
  const wire = await world.online(client)
  wire.subscribed(INBOX)
  wire.subscribed(ROOM, more)
  await world.settle()
  return { world, client, handle, wire, storage, lines }
}

export function heard(handle: ChannelHandle): string[] {
  const lines: string[] = []
  handle.on('entry', ({ seq }) => lines.push(String(seq)))
  handle.on('reset', (reason) => lines.push(`reset ${reason}`))
  handle.on('dropped', (code) => lines.push(`dropped ${code}`))
  return lines
}

/** Entries of the channel with these numbers, as frames. */
export const live = (...seqs: number[]) => seqs.map((seq) => ({ t: 'entry', ch: ROOM, entry: entry(seq) }))

/** Acknowledges the last append. */
export function ack(wire: Wire, seq: number, more: { id?: string; ch?: string } = {}): void {
  const { id, ch } = { ...wire.last('append'), ...more }
  wire.say({ t: 'ack', id, ch, seq, n: seq, at: 77 })
}

/** Refuses the last append. */
export function refuse(wire: Wire, code: string, more: Record<string, unknown> = {}): void {
  const { id, ch } = wire.last('append')
  wire.say({ t: 'error', code, message: `no: ${code}`, id, ch, ...more })
}

/** What was sent, in order. */
export const texts = (wire: Wire): unknown[] => wire.all('append').map((frame) => (frame.body as { text: string }).text)

export const states = (pending: readonly Pending[]): string[] =>
  pending.map(({ state, body }) => `${String(body['text'])} ${state}`)
