/**
 * The package in Node, driven line by line: commands on standard input, everything that happens on standard output.
 * Started by tests/wire/node_client.py with the path of the built package.
 */

import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import WebSocket from 'ws'

const { createProgram, memoryStorage } = await import(pathToFileURL(process.argv[2]).href)

const clients = new Map()
const shelves = new Map()

function tell(line) {
  process.stdout.write(JSON.stringify(line, (_, value) => (value instanceof Set ? [...value] : value)) + '\n')
}

function shelf(name) {
  if (!shelves.has(name)) shelves.set(name, memoryStorage())
  return shelves.get(name)
}

const commands = {
  make({ as, url, token, epoch, storage }) {
    const client = createProgram({ url, token, epoch, WebSocket, storage: shelf(storage ?? as) })
    clients.set(as, { client, handles: new Map() })
    for (const event of ['state', 'inbox', 'stale', 'pending', 'fault']) {
      client.on(event, (...values) => tell({ as, event, values: event === 'fault' ? values.map(String) : values }))
    }
  },
  connect: ({ as }) => clients.get(as).client.connect(),
  close: ({ as }) => clients.get(as).client.close(),
  forget: ({ as }) => clients.get(as).client.forget(),
  wake: ({ as }) => clients.get(as).client.wake(),
  look({ as }) {
    const { client } = clients.get(as)
    const { state, stateInfo, who, epoch, pendingCount } = client
    return { state, stateInfo, who, epoch, pendingCount, pending: client.pending() }
  },
  retry: ({ as, id }) => clients.get(as).client.retry(id),
  discard: ({ as, id }) => clients.get(as).client.discard(id),
  open({ as, ch, after }) {
    const { client, handles } = clients.get(as)
    const handle = client.channel(ch)
    handles.set(ch, handle)
    for (const event of ['entry', 'reset', 'signal', 'presence', 'position', 'info', 'dropped', 'pending']) {
      handle.on(event, (...values) => tell({ as, ch, event, values }))
    }
    handle.open(after === undefined ? {} : { after })
  },
  release: ({ as, ch }) => clients.get(as).handles.get(ch).release(),
  send: ({ as, ch, kind, body, ref }) => clients.get(as).client.channel(ch).send(kind, body, ref),
  append: ({ as, ch, kind, body, ref }) => clients.get(as).client.channel(ch).append(kind, body, ref),
  history: ({ as, ch, range }) => clients.get(as).client.channel(ch).history(range),
  signal: ({ as, ch, kind, body }) => clients.get(as).client.channel(ch).signal(kind, body),
  position: ({ as, ch, place }) => clients.get(as).client.channel(ch).position(place),
}

const lines = createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  const { do: name, number, ...rest } = JSON.parse(line)
  try {
    tell({ answer: number, value: (await commands[name](rest)) ?? null })
  } catch (fault) {
    tell({ answer: number, fault: fault.code ?? String(fault) })
  }
})
lines.on('close', () => {
  for (const { client } of clients.values()) client.close()
})
