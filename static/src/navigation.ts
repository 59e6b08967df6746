/** Going back: along the history when the page above was the last one, else straight to it. */

import { useRouter } from 'vue-router'

export function useBack(): (parent: string) => void {
  const router = useRouter()
  return (parent) => {
    const last: unknown = window.history.state?.back
    if (last === parent) router.back()
    else void router.replace(parent)
  }
}
