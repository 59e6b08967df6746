import { describe, expect, it } from 'vitest'
import { INTERNAL_TRIES, MAX_WAITING } from '../src/outbox.js'
import { ack, refuse, room, states, texts } from './room.js'
import { LIN, ROOM, World, entry } from './world.js'

describe('refusals', () => {
  it.each(['bad_request', 'forbidden', 'not_found', 'closed', 'too_large', 'idempotency_conflict'])(
    'fails on %s and goes on with the next',
    async (code) => {
      const { world, handle, wire, storage } = await room()
      const failing = expect(handle.append('message', { text: 'a' })).rejects.toMatchObject({ code, field: 'body' })
      handle.send('message', { text: 'b' })
      await world.settle()
      refuse(wire, code, { field: 'body' })
      await failing
      expect(handle.pending).toMatchObject([{ state: 'failed', error: { code, field: 'body' } }, { state: 'sending' }])
      expect(texts(wire)).toEqual(['a', 'b'])
      await world.settle()
      expect(await storage.load()).toMatchObject([{ error: { code } }, { error: null }])
    },
  )

  it.each(['try_later', 'too_often', 'unavailable', 'internal', 'unauthenticated'])('waits on %s', async (code) => {
    const { world, handle, wire } = await room()
    handle.send('message', { text: 'a' })
    await world.settle()
    refuse(wire, code)
    expect(states(handle.pending)).toEqual(['a waiting'])
    await world.pass(2_000)
    expect(texts(wire)).toEqual(['a', 'a'])
  })

  it('sets an append aside on which the server fails again and again', async () => {
    const { world, handle, wire } = await room()
    handle.send('message', { text: 'poison' })
    handle.send('message', { text: 'next' })
    wire.answer = (frame) => {
      if (frame.t === 'ping') wire.say({ t: 'pong', rid: frame.rid, at: 0 })
    }
    await world.settle()
    for (let time = 0; time < INTERNAL_TRIES; time += 1) {
      refuse(wire, 'internal')
      await world.pass(14_000)
    }
    expect(states(handle.pending)).toEqual(['poison failed', 'next sending'])
  })

  it('ignores a late answer to an append that is not on the wire', async () => {
    const { world, handle, wire } = await room()
    handle.send('message', { text: 'a' })
    await world.settle()
    refuse(wire, 'try_later')
    refuse(wire, 'forbidden')
    expect(states(handle.pending)).toEqual(['a waiting'])
  })

  it('retries on demand: under the same id, or a new one when the old one is taken', async () => {
    const { world, client, handle, wire, storage } = await room()
    const { id } = handle.send('message', { text: 'a' })
    await world.settle()
    expect(client.retry(id)).toBe(false)
    refuse(wire, 'forbidden')
    expect(client.retry(id)).toBe(true)
    await world.settle()
    expect(wire.last('append').id).toBe(id)
    refuse(wire, 'idempotency_conflict')
    expect(client.retry(id)).toBe(true)
    await world.settle()
    const renewed = wire.last('append').id
    expect(renewed).not.toBe(id)
    expect((await storage.load()).map((row) => row.id)).toEqual([renewed])
    expect(client.retry('unknown')).toBe(false)
    ack(wire, 1)
    wire.say({ t: 'entry', ch: ROOM, entry: entry(1, { by: LIN, id: renewed }) })
    expect(handle.pending).toEqual([])
  })

  it('discards what failed or waits, not what is on its way', async () => {
    const { world, client, handle, wire, storage } = await room()
    const first = handle.send('message', { text: 'a' })
    const gone = expect(handle.append('message', { text: 'b' })).rejects.toMatchObject({ code: 'aborted' })
    const second = handle.pending[1]?.id ?? ''
    await world.settle()
    expect(client.discard(first.id)).toBe(false)
    expect(client.discard(second)).toBe(true)
    expect(client.discard(second)).toBe(false)
    await gone
    refuse(wire, 'forbidden')
    expect(client.discard(first.id)).toBe(true)
    await world.settle()
    expect(handle.pending).toEqual([])
    expect(await storage.load()).toEqual([])
  })
})

describe('limits', () => {
  it('fails at once what is too large, in bytes', async () => {
    const { world, client, handle, wire } = await room()
    const pending = handle.send('message', { text: '许'.repeat(30_000) })
    expect(pending).toMatchObject({ state: 'failed', error: { code: 'too_large' } })
    expect(client.retry(pending.id)).toBe(true)
    await world.settle()
    expect(wire.all('append')).toEqual([])
    await expect(handle.append('message', { text: 'x'.repeat(70_000) })).rejects.toMatchObject({ code: 'too_large' })
  })

  it('fails what would make the outbox endless, in number and in bytes', async () => {
    const world = new World()
    const handle = world.client().channel(ROOM)
    for (let number = 0; number < MAX_WAITING; number += 1) handle.send('message', { text: 'a' })
    expect(handle.send('message', { text: 'b' })).toMatchObject({ error: { code: 'limit_reached' } })
    const large = new World().client().channel(ROOM)
    const all = Array.from({ length: 140 }, () => large.send('message', { text: 'x'.repeat(64_000) }))
    expect(all.filter(({ state }) => state === 'waiting')).toHaveLength(131)
  })
})
