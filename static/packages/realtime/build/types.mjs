// A JSON schema on standard input, TypeScript on standard output. Called by `python -m scripts.generate`.
import { compile } from 'json-schema-to-typescript'
import { text } from 'node:stream/consumers'

const schema = JSON.parse(await text(process.stdin))
const source = await compile(schema, 'Root', {
  additionalProperties: false,
  bannerComment: '',
  ignoreMinAndMaxItems: true,
  unreachableDefinitions: true,
  style: { semi: false, singleQuote: true, printWidth: 120, trailingComma: 'all' },
})
// The root only carries the definitions: its declaration, and the remarks that name it, say nothing.
const named = source
  .replace(/export interface Root \{\}\n/, '')
  .replace(/(?: \*\n)? \* This interface was referenced by `Root`'s JSON-Schema\n \* via the `definition` "\w+"\.\n/g, '')
  .replace(/\/\*\*\n \*\/\n/g, '')
  .replace(/\n(?=\/\*\*|export)/g, '\n\n')
  .replace(/(\n \*\/\n)\n/g, '$1')
  .replace(/\n{3,}/g, '\n\n')
process.stdout.write(named.trimStart())
