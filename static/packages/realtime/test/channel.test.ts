import { describe, expect, it } from 'vitest'
import { ANSWER_WITHIN } from '../src/requests.js'
import { heard, live, room } from './room.js'
import { INBOX, LIN, ROOM, World, entry } from './world.js'

describe('subscribing', () => {
  it('gathers what is opened in one turn into few frames of at most 500 channels', async () => {
    const world = new World()
    const client = world.client()
    const wire = await world.online(client)
    for (let room = 0; room < 1001; room += 1) client.channel(`conv:c_${room}`).open()
    await world.settle()
    expect(wire.all('subscribe').map((frame) => frame.channels.length)).toEqual([1, 500, 500, 1])
  })

  it('counts its holders: subscribed by the first, let go by the last', async () => {
    const { world, client, handle, wire } = await room()
    const second = client.channel(ROOM).open()
    const lines = heard(second)
    await world.settle()
    expect(wire.all('subscribe')).toHaveLength(1)
    handle.release()
    handle.release()
    wire.say(...live(1))
    expect(lines).toEqual(['1'])
    second.release()
    await world.settle()
    expect(wire.last('unsubscribe').channels).toEqual([ROOM])
    wire.say(...live(2))
    expect(lines).toEqual(['1'])
  })

  it('survives letting go and opening again in one turn, and hears nothing of the old subscription', async () => {
    const { world, handle, lines, wire } = await room({ head: 4 })
    handle.release()
    handle.open()
    await world.settle()
    expect(wire.heard.slice(-2).map((frame) => frame.t)).toEqual(['unsubscribe', 'subscribe'])
    wire.say(...live(5))
    wire.subscribed(ROOM, { head: 5 })
    wire.say(...live(6))
    expect(lines).toEqual(['6'])
  })

  it('starts at the head, or where the application left off', async () => {
    const world = new World()
    const client = world.client({ epoch: 'e1' })
    const handle = client.channel(ROOM).open({ after: 7 })
    const lines = heard(handle)
    const wire = await world.online(client)
    expect(wire.after(ROOM)).toBe(7)
    expect(wire.after(INBOX)).toBeUndefined()
    wire.subscribed(ROOM, { head: 9 })
    wire.say(...live(8, 9, 10))
    expect(lines).toEqual(['8', '9', '10'])
    expect(handle.info).toMatchObject({ head: 10, n: 10, first: 1, write: true })
  })

  it('ignores an answer to a question that was asked before', async () => {
    const { world, handle, lines, wire } = await room()
    const old = wire.asking(ROOM).rid
    handle.release()
    handle.open()
    await world.settle()
    wire.say({ t: 'subscribed', rid: old, ch: ROOM, head: 3, n: 3 })
    wire.say(...live(4))
    expect(lines).toEqual([])
    wire.subscribed(ROOM, { head: 4 })
    wire.say(...live(5))
    expect(lines).toEqual(['5'])
  })

  it('asks again when no answer comes', async () => {
    const world = new World()
    const client = world.client()
    client.channel(ROOM).open()
    const wire = await world.online(client)
    wire.answer = (frame) => {
      if (frame.t === 'ping') wire.say({ t: 'pong', rid: frame.rid, at: 0 })
    }
    await world.pass(ANSWER_WITHIN)
    expect(wire.all('subscribe')).toHaveLength(2)
  })

  it('does not ask again while the answers to many channels still come', async () => {
    const world = new World()
    const client = world.client()
    for (let number = 0; number < 5; number += 1) client.channel(`conv:c_${number}`).open()
    const wire = await world.online(client)
    for (let number = 0; number < 5; number += 1) {
      await world.pass(ANSWER_WITHIN / 2)
      wire.subscribed(`conv:c_${number}`)
    }
    expect(wire.all('subscribe')).toHaveLength(1)
    wire.answer = (frame) => {
      if (frame.t === 'ping') wire.say({ t: 'pong', rid: frame.rid, at: 0 })
    }
    await world.pass(2 * ANSWER_WITHIN)
    expect(wire.last('subscribe').channels).toEqual([{ ch: INBOX }])
  })

  it('tells what refuses it, and asks again only when opened again', async () => {
    const world = new World()
    const client = world.client()
    const handle = client.channel(ROOM).open()
    const lines = heard(handle)
    const wire = await world.online(client)
    wire.subscribed(INBOX)
    wire.say({ t: 'refused', rid: wire.asking(ROOM).rid, ch: ROOM, code: 'not_found' })
    await world.pass(20_000)
    expect(lines).toEqual(['dropped not_found'])
    expect(wire.all('subscribe')).toHaveLength(1)
    wire.drop(1006)
    const next = await world.again()
    expect(next.last('subscribe').channels).toEqual([{ ch: INBOX, after: 0 }])
    handle.open()
    await world.settle()
    expect(next.last('subscribe').channels).toEqual([{ ch: ROOM }])
  })

  it('asks again by itself after a refusal that passes, also in the middle of a replay', async () => {
    const { world, lines, wire } = await room()
    wire.say({ t: 'refused', rid: wire.asking(ROOM).rid, ch: ROOM, code: 'try_later' })
    await world.pass(10_000)
    expect(wire.all('subscribe')).toHaveLength(2)
    wire.say({ t: 'error', rid: wire.asking(ROOM).rid, code: 'too_often', message: '', retry_after: 2 })
    await world.pass(1_900)
    expect(wire.all('subscribe')).toHaveLength(2)
    await world.pass(10_000)
    expect(wire.all('subscribe')).toHaveLength(3)
    wire.subscribed(ROOM, { head: 1 })
    wire.say(...live(1, 2))
    expect(lines).toEqual(['1', '2'])
  })

  it('tells when the subscription is taken away', async () => {
    const { lines, wire } = await room()
    wire.say({ t: 'dropped', ch: ROOM, code: 'not_found' }, ...live(1))
    expect(lines).toEqual(['dropped not_found'])
  })
})

describe('order', () => {
  it('drops what comes twice', async () => {
    const { lines, wire } = await room()
    wire.say(...live(1, 1, 2, 1, 2, 3))
    expect(lines).toEqual(['1', '2', '3'])
  })

  it('asks again from where it is when a number is missing', async () => {
    const { world, lines, wire } = await room()
    wire.say(...live(1, 3, 4))
    await world.settle()
    expect(lines).toEqual(['1'])
    expect(wire.after(ROOM)).toBe(1)
    wire.subscribed(ROOM, { head: 4 })
    wire.say(...live(2, 3, 4, 5))
    expect(lines).toEqual(['1', '2', '3', '4', '5'])
  })

  it('takes a hole that never closes for a reset, rather than asking for ever', async () => {
    const { world, lines, wire } = await room()
    wire.say(...live(1))
    for (let round = 0; round < 4; round += 1) {
      wire.say(...live(3))
      await world.pass(5_000)
      if (round < 3) wire.subscribed(ROOM, { head: 3 })
    }
    wire.say(...live(4))
    expect(lines).toEqual(['1', 'reset hole', '3', '4'])
    expect(wire.all('subscribe')).toHaveLength(4)
  })
})

describe('resuming', () => {
  it('asks for what came after the last entry it has seen', async () => {
    const { world, lines, wire } = await room({ head: 2 })
    wire.say(...live(3))
    wire.drop(1006)
    const next = await world.again()
    expect(next.after(ROOM)).toBe(3)
    next.subscribed(ROOM, { head: 5 })
    next.say(...live(4, 5, 6))
    expect(lines).toEqual(['3', '4', '5', '6'])
  })

  it('remembers the head it started at, though nothing was said since', async () => {
    const { world, wire } = await room({ head: 12 })
    wire.drop(1006)
    const next = await world.again()
    expect(next.after(ROOM)).toBe(12)
  })

  it.each(['epoch', 'ahead', 'behind', 'rights', 'snapshot'] as const)('resets on a gap: %s', async (gap) => {
    const { world, lines, wire } = await room({ head: 2 })
    wire.drop(1006)
    const next = await world.again()
    next.subscribed(ROOM, { head: 50, n: 40, gap })
    next.say(...live(51))
    expect(lines).toEqual([`reset ${gap}`, '51'])
  })

  it('does not forget a change of epoch when the connection is lost before the channel is answered', async () => {
    const { world, lines, wire } = await room({ head: 2 })
    wire.drop(1006)
    await world.pass(300)
    world.wire.accept()
    expect(world.wire.after(ROOM)).toBe(2)
    world.wire.welcome(LIN, 'e2')
    world.wire.drop(1006)
    await world.pass(600)
    const last = world.wire
    last.accept()
    expect(last.heard[0]).toMatchObject({ epoch: 'e2' })
    expect(last.after(ROOM)).toBeUndefined()
    last.welcome(LIN, 'e2')
    last.subscribed(ROOM, { head: 7 })
    last.say(...live(8))
    expect(lines).toEqual(['reset epoch', '8'])
  })

  it('sees by itself that the log is shorter than it was', async () => {
    const { world, lines, wire } = await room({ head: 9 })
    wire.drop(1006)
    const next = await world.again()
    next.subscribed(ROOM, { head: 3 })
    next.say(...live(4))
    expect(lines).toEqual(['reset ahead', '4'])
  })
})

describe('inbox', () => {
  it('is always subscribed, and tells when people and conversations must be loaded again', async () => {
    const world = new World()
    const client = world.client()
    const lines: string[] = []
    client.on('inbox', ({ seq }) => lines.push(String(seq)))
    client.on('stale', (reason) => lines.push(reason))
    const wire = await world.online(client)
    wire.subscribed(INBOX, { head: 8 })
    wire.say({ t: 'entry', ch: INBOX, entry: entry(9, { by: 'system', kind: 'profile_changed', body: {} }) })
    wire.drop(1006)
    const next = await world.again()
    expect(next.after(INBOX)).toBe(9)
    next.subscribed(INBOX, { head: 1, gap: 'epoch' })
    expect(lines).toEqual(['start', '9', 'epoch'])
  })
})
