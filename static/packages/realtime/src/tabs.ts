/**
 * Several tabs of one person share one storage. Each append belongs to the tab that wrote it; what a dead tab left
 * behind is taken over by one that lives. Ids make a double sending harmless, so this only has to be right, not perfect.
 */

export interface Tabs {
  /** This tab's own name: new with every page load. */
  readonly id: string
  /** Which of these tabs live; null when that cannot be known. */
  living(ids: ReadonlySet<string>): Promise<ReadonlySet<string> | null>
  /** One tab at a time. */
  alone(work: () => Promise<void>): Promise<void>
  close(): void
}

/** For programs and browsers without Web Locks: everything stored is ours from the start. */
export function loneTab(id: string): Tabs {
  return { id, living: () => Promise.resolve(null), alone: (work) => work(), close: () => undefined }
}

/** A tab lives while it holds the lock of its name; the browser lets go of it when the page dies, however it dies. */
export function lockedTabs(person: string, id: string, locks: LockManager): Tabs {
  const prefix = `vouch-outbox:${person}:tab:`
  let letGo: () => void = () => undefined
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  // Rejected where the page may not use locks at all (a sandboxed frame): then `living` cannot know either.
  locks.request(prefix + id, () => held).catch(() => undefined)
  return {
    id,
    async living(ids) {
      try {
        const names = new Set((await locks.query()).held?.map((lock) => lock.name))
        return new Set([...ids].filter((tab) => tab === id || names.has(prefix + tab)))
      } catch {
        return null
      }
    },
    async alone(work) {
      await locks.request(`vouch-outbox:${person}:adopt`, work)
    },
    close: () => letGo(),
  }
}
