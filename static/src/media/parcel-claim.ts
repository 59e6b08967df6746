/**
 * Which of several tabs carries a parcel: the one that holds the lock of its name. The browser lets go of it when the
 * page dies, however it dies; another tab may then take the parcel over.
 */

/** What ends the claim; null when another tab has it. Without Web Locks everything kept is ours. */
export function claimParcel(id: string): Promise<(() => void) | null> {
  const nothing = (): void => undefined
  if (!('locks' in navigator)) return Promise.resolve(nothing)
  return new Promise((resolve) => {
    navigator.locks
      .request(`vouch-parcel:${id}`, { ifAvailable: true }, (lock) => {
        if (!lock) return resolve(null)
        return new Promise<void>((free) => resolve(free))
      })
      .catch(() => resolve(nothing)) // a page that may not use locks at all
  })
}
