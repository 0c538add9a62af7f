import { type Linked, LinkedList } from './linked-list.ts'

/** One request that waits for its turn. @internal */
export class Waiter implements Linked<Waiter> {
  list: LinkedList<Waiter> | null = null
  previous: Waiter | null = null
  next: Waiter | null = null
  readonly bytes: number
  /** Lets the request go on. */
  readonly release: () => void

  constructor(bytes: number, release: () => void) {
    this.bytes = bytes
    this.release = release
  }
}

/** The waiting requests of one member in one direction, first come first served. @internal */
export class Lane implements Linked<Lane> {
  list: LinkedList<Lane> | null = null
  previous: Lane | null = null
  next: Lane | null = null
  readonly isWrite: boolean
  readonly waiters = new LinkedList<Waiter>()

  constructor(isWrite: boolean) {
    this.isWrite = isWrite
  }
}
