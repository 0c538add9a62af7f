import type { FacetName } from '@blockloom/driver-testkit'
import type { Changes } from '../toy/toy-driver.ts'

/** A toy driver with one planted fault, and the cases that must catch it. */
export interface Broken {
  readonly fault: string
  readonly caughtBy: readonly string[]
  readonly changes: Changes
  /** Facets that the fixture claims, if others than the toy's. */
  readonly facets?: readonly FacetName[]
}
