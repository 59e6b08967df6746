/** What is chosen stands in the order in which it was chosen, however long it takes to be looked at. */

import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, it, vi } from 'vitest'
import { watch } from 'vue'

import { useTrays } from '../src/stores/trays'

const looks = vi.hoisted(() => new Map<string, (fail?: boolean) => void>())

vi.mock('../src/media/picks', () => ({
  pickOf: (file: File) =>
    new Promise((resolve, reject) => {
      looks.set(file.name, (fail = false) => {
        if (fail) reject(new Error('torn'))
        else resolve({ chosen: { id: file.name, kind: 'picture', name: file.name, size: 1, seconds: 0 }, file, preview: null, original: file })
      })
    }),
  switched: (pick: unknown) => Promise.resolve(pick),
}))
vi.mock('../src/stores/uploads', () => ({ useUploads: () => ({ needLimits: () => Promise.resolve(null) }) }))

const PLACE = 'c_one'
const file = (name: string): File => new File(['x'], name, { type: 'image/png' })

/** `name` has been looked at. */
async function seen(name: string, fail = false): Promise<void> {
  await vi.waitFor(() => expect(looks.has(name)).toBe(true))
  looks.get(name)?.(fail)
}

beforeEach(() => {
  looks.clear()
  setActivePinia(createPinia())
})

it('keeps the order of two pastes when the first takes longer', async () => {
  const trays = useTrays()
  const both = [trays.add(PLACE, [file('large')]), trays.add(PLACE, [file('small')])]
  expect(trays.isPreparing(PLACE)).toBe(true)
  await vi.waitFor(() => expect(looks.has('large')).toBe(true))
  looks.get('small')?.()
  await seen('large')
  await seen('small')
  await Promise.all(both)
  expect(trays.of(PLACE).map(({ chosen }) => chosen.name)).toEqual(['large', 'small'])
  expect(trays.isPreparing(PLACE)).toBe(false)
})

it('goes on after one that could not be looked at', async () => {
  const trays = useTrays()
  const first = trays.add(PLACE, [file('torn')])
  const second = trays.add(PLACE, [file('whole')])
  const refused = expect(first).rejects.toThrow('torn')
  await seen('torn', true)
  await seen('whole')
  await Promise.all([refused, second])
  expect(trays.of(PLACE).map(({ chosen }) => chosen.name)).toEqual(['whole'])
  expect(trays.isPreparing(PLACE)).toBe(false)
})

it('has the thing in the tray when it says that all were looked at', async () => {
  const trays = useTrays()
  const found: number[] = []
  watch(() => trays.isPreparing(PLACE), (preparing) => { if (!preparing) found.push(trays.of(PLACE).length) })
  const adding = trays.add(PLACE, [file('one')])
  await seen('one')
  await adding
  await vi.waitFor(() => expect(found).toEqual([1]))
})
