import type { Component } from 'vue'

/** One entry of a menu. */
export interface MenuItem<T extends string = string> {
  readonly id: T
  readonly text: string
  readonly icon?: Component
  /** A second line that says what will happen. */
  readonly hint?: string
  readonly danger?: boolean
  readonly disabled?: boolean
  /** Undefined: not one of several that exclude each other. */
  readonly checked?: boolean
  /** A line stands above it. */
  readonly apart?: boolean
  /** The shortcut that does the same. */
  readonly keys?: string
}
