import type { PermissionFacet } from '@blockloom/block-driver'
import type { Held, ImageLock } from './image-lock.ts'
import { heldFor, NOTHING } from './image-lock.ts'

/**
 * What the parents of one open file do with it, told to other processes by its lock. The lock belongs to a
 * descriptor and is replaced with it.
 *
 * @internal
 */
export class LockedPermissions implements PermissionFacet {
  /** `null`: nobody is told. */
  lock: ImageLock | null
  #granted: Held = NOTHING

  constructor(lock: ImageLock | null) {
    this.lock = lock
  }

  /** What is in force. */
  get granted(): Held {
    return this.#granted
  }

  async prepare(used: number, shared: number) {
    const next = heldFor(used, shared)
    this.lock?.add(next)
    return {
      commit: () => {
        this.#granted = next
        this.lock?.reduce(next)
      },
      abort: () => this.lock?.reduce(this.#granted),
    }
  }
}
