/** Arrow keys in a list of links or buttons that carry `data-row`. */
export function moveInList(event: KeyboardEvent): void {
  const container = event.currentTarget
  if (!(container instanceof HTMLElement)) return
  const rows = Array.from(container.querySelectorAll<HTMLElement>('[data-row]'))
  const at = rows.indexOf(document.activeElement as HTMLElement)
  if (at < 0) return
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key]
  const target = to === undefined ? undefined : rows[to]
  if (!target) return
  event.preventDefault()
  target.focus()
}
