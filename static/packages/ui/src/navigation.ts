import type { Component } from 'vue'
import type { RouteLocationRaw } from 'vue-router'

/** One area of the product in the rail and in the bottom bar. */
export interface Area {
  readonly id: string
  readonly to: RouteLocationRaw
  readonly text: string
  readonly icon: Component
  readonly active: boolean
  readonly count: number
  /** What a screen reader says about `count`. */
  readonly countLabel: string
}
