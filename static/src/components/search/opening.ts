/** Beginning a search from anywhere: in the list where there is room for it, on a page of its own on phones. */

import { onBeforeUnmount, onMounted } from 'vue'
import { useRouter } from 'vue-router'

import { useSearch, type SearchFilters } from '../../stores/search'

const PHONE = '(max-width: 719px)'

export const isPhone = (): boolean => window.matchMedia(PHONE).matches

export function useSearchOpening(): (filters?: Partial<SearchFilters>) => void {
  const router = useRouter()
  const search = useSearch()
  return (filters) => {
    if (filters) search.filter(filters)
    const { path, meta } = router.currentRoute.value
    const there = isPhone() ? path === '/search' : meta.area === 'chats'
    const gone = there ? Promise.resolve() : router.push(isPhone() ? { path: '/search', query: search.address } : '/chats')
    void gone.then(() => (search.focus += 1))
  }
}

/** Ctrl+K (⌘K) anywhere, `/` where nothing is written. */
export function useSearchKeys(): void {
  const open = useSearchOpening()
  const onKey = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.altKey || document.querySelector('dialog[open]')) return
    const chord = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === 'k'
    const target = event.target as HTMLElement | null
    const writing = target?.closest?.('input, textarea, select, [contenteditable="true"]') !== null
    if (!chord && (event.key !== '/' || event.ctrlKey || event.metaKey || writing)) return
    event.preventDefault()
    open()
  }
  onMounted(() => window.addEventListener('keydown', onKey))
  onBeforeUnmount(() => window.removeEventListener('keydown', onKey))
}

/** Down from the field, into what is listed below it. */
export function toFirstRow(event: KeyboardEvent): void {
  const first = (event.target as HTMLElement).closest('aside')?.querySelector<HTMLElement>('[data-row]')
  if (event.isComposing || !first) return
  event.preventDefault()
  first.focus()
}
