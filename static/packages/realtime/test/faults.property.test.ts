/**
 * Whatever is lost, doubled, swapped or cut: entries are delivered in order and once, and each append is in the log once
 * and acknowledged once.
 */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Entry } from '../src/generated/protocol.js'
import { memoryStorage } from '../src/storage.js'
import type { ChannelHandle } from '../src/types.js'
import { Hub } from './hub.js'
import type { Mishap } from './hub.js'
import { ROOM, World } from './world.js'

type Step =
  | { do: 'send' | 'other' | 'cut' | 'deaf' | 'reload' | 'wake' | 'history' }
  | { do: 'pass'; milliseconds: number }
  | { do: 'mishaps'; mishaps: Mishap[] }
  | { do: 'restore'; lost: number }

const mishap = fc.constantFrom<Mishap>('none', 'drop', 'double', 'swap', 'cut')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom<Step>({ do: 'send' }, { do: 'other' }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), milliseconds: fc.nat(30_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mishaps' as const), mishaps: fc.array(mishap, { maxLength: 6 }) }) },
  { weight: 2, arbitrary: fc.constantFrom<Step>(...(['cut', 'deaf', 'reload', 'wake', 'history'] as const).map((word) => ({ do: word }))) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restore' as const), lost: fc.nat(3) }) },
)

/** A reader that keeps what it is told as an application would: a run of entries without holes, dropped on a reset. */
class Reader {
  readonly mistakes: string[] = []
  run: Entry[] = []

  constructor(handle: ChannelHandle) {
    handle.on('reset', () => {
      this.run = []
    })
    handle.on('entry', (entry) => {
      const last = this.run.at(-1)
      if (last && entry.seq !== last.seq + 1) this.mistakes.push(`${entry.seq} after ${last.seq}`)
      if (handle.pending.some(({ id }) => id === entry.id)) this.mistakes.push(`${entry.seq} is shown twice`)
      this.run.push(entry)
    })
  }
}

it('keeps order and counts once through any faults', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.double({ min: 0, max: 0.999, noNaN: true }), async (steps, luck) => {
      const world = new World()
      world.luck = luck
      const hub = new Hub()
      const storage = memoryStorage()
      let attached = 0
      const attach = (): void => {
        for (; attached < world.wires.length; attached += 1) {
          const wire = world.wires[attached]
          if (wire && wire.left === null) hub.attach(wire)
        }
      }
      // The hub's side of new connections, looked for often enough that none times out.
      const pass = async (milliseconds: number): Promise<void> => {
        for (let left = milliseconds; left >= 0; left -= 1_000) {
          await world.pass(Math.min(left, 1_000))
          attach()
        }
        await world.settle()
      }
      const acks = new Map<string, number>()
      const readers: Reader[] = []
      let restored = false
      const start = () => {
        const client = world.client({ storage })
        const handle = client.channel(ROOM).open()
        readers.push(new Reader(handle))
        client.connect()
        return { client, handle }
      }
      let { client, handle } = start()
      await pass(0)
      let sent = 0
      for (const next of steps) {
        switch (next.do) {
          case 'send': {
            const { id } = handle.send('message', { text: String((sent += 1)) })
            acks.set(id, 0)
            void handle
            break
          }
          case 'other':
            hub.other(ROOM)
            break
          case 'cut':
            hub.cut()
            break
          case 'deaf':
            hub.deaf += 1
            break
          case 'wake':
            client.wake()
            break
          case 'history':
            void handle.history().catch(() => undefined)
            break
          case 'reload':
            await world.settle()
            client.close()
            ;({ client, handle } = start())
            break
          case 'pass':
            await pass(next.milliseconds)
            break
          case 'mishaps':
            hub.expect(next.mishaps)
            break
          case 'restore':
            restored = true
            hub.restore(next.lost)
            break
        }
        await world.settle()
        attach()
      }
      hub.calm()
      await pass(90_000)
      // One entry shows what was dropped at the end, the next comes after a reset that this may have led to.
      hub.other(ROOM)
      await pass(30_000)
      hub.other(ROOM)
      await pass(1_000)

      expect(readers.flatMap((reader) => reader.mistakes)).toEqual([])
      expect(client.state).toBe('online')
      expect(client.pending()).toEqual([])
      expect(await storage.load()).toEqual([])
      // The last reader stands where the log stands, and what it holds is what the log holds.
      const log = hub.log(ROOM)
      const run = readers.at(-1)?.run ?? []
      expect(run).toEqual(log.slice(log.length - run.length))
      expect(run.length).toBeGreaterThan(0)
      const own = log.filter((entry) => acks.has(entry.id)).map((entry) => entry.id)
      expect(new Set(own).size).toBe(own.length)
      if (!restored) {
        // In order of writing as well: each is there, and none has overtaken another.
        expect(log.filter((entry) => acks.has(entry.id)).map((entry) => entry.body['text'])).toEqual(
          Array.from({ length: sent }, (_, at) => String(at + 1)),
        )
      }
      client.close()
      expect(world.timers).toBe(0)
    }),
    { numRuns: 300 },
  )
}, 60_000)

it('acknowledges each append exactly once to whoever waits for it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(mishap, { maxLength: 30 }), fc.nat(4), fc.integer({ min: 1, max: 8 }), async (mishaps, deaf, count) => {
      const world = new World()
      const hub = new Hub()
      hub.deaf = deaf
      hub.expect(mishaps)
      const client = world.client()
      const handle = client.channel(ROOM).open()
      const told: number[] = []
      for (let number = 0; number < count; number += 1) {
        void handle.append('message', { text: String(number) }).then(({ seq }) => told.push(seq))
      }
      client.connect()
      let attached = 0
      for (let second = 0; second < 200; second += 1) {
        for (; attached < world.wires.length; attached += 1) {
          const wire = world.wires[attached]
          if (wire && wire.left === null) hub.attach(wire)
        }
        await world.pass(1_000)
      }
      expect(told).toEqual(Array.from({ length: count }, (_, at) => at + 1))
      expect(hub.log(ROOM)).toHaveLength(count)
    }),
    { numRuns: 100 },
  )
}, 60_000)
