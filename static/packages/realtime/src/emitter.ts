import type { Environment } from './environment.js'

export type Stop = () => void

type Listeners<Events extends { [name in keyof Events]: unknown[] }> = {
  [Name in keyof Events]?: Set<(...values: Events[Name]) => void>
}

/** Typed events. Listeners are called in the order in which they came; a listener's exception is reported, not thrown. */
export class Emitter<Events extends { [name in keyof Events]: unknown[] }> {
  readonly #listeners: Listeners<Events> = {}
  readonly #report: Environment['report']

  constructor(report: Environment['report']) {
    this.#report = report
  }

  on<Name extends keyof Events>(name: Name, listener: (...values: Events[Name]) => void): Stop {
    const listeners = (this.#listeners[name] ??= new Set())
    // A wrapper of its own, so that the same function may listen twice and each be stopped alone.
    const entry = (...values: Events[Name]): void => listener(...values)
    listeners.add(entry)
    return () => void listeners.delete(entry)
  }

  emit<Name extends keyof Events>(name: Name, ...values: Events[Name]): void {
    for (const listener of [...(this.#listeners[name] ?? [])]) {
      try {
        listener(...values)
      } catch (fault) {
        this.#report(fault)
      }
    }
  }
}
