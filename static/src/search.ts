/** Finding names in a list that is here already: folded case and width, any word. */

const fold = (text: string): string => text.normalize('NFKC').toLocaleLowerCase()

export function matches(name: string, wanted: string): boolean {
  const folded = fold(name)
  return fold(wanted)
    .split(/\s+/u)
    .every((word) => folded.includes(word))
}
