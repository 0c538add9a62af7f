import { BlockError, Permission, permissionNames } from '@blockloom/block-driver'
import { systemError } from '../errno.ts'
import type { Libc } from '../native/libc.ts'

/** Locked: the permission with this bit is used. As the reference has it, so that both respect each other. */
const USED = 100
/** Locked: others may not use the permission with this bit. */
const UNSHARED = 200
const BITS = [0, 1, 2, 3]

/** Permissions that are used, and those that are not shared with others. @internal */
export interface Held {
  readonly used: number
  readonly unshared: number
}

/** @internal */
export const NOTHING: Held = { used: 0, unshared: 0 }

/**
 * Image locks: open file description locks on single bytes at 100 and 200 of the file, all of them shared. Who
 * wants a permission holds its byte and then looks whether someone holds the opposite one: of two who try at the
 * same time at least one sees the other.
 *
 * @internal
 */
export class ImageLock {
  readonly #libc: Libc
  readonly #fd: number
  readonly #filename: string
  #held = NOTHING

  constructor(libc: Libc, fd: number, filename: string) {
    this.#libc = libc
    this.#fd = fd
    this.#filename = filename
  }

  /** The host and its file system have such locks. */
  static works(libc: Libc, fd: number): boolean {
    return libc.testLock(fd, USED) >= 0
  }

  get held(): Held {
    return this.#held
  }

  /**
   * Locks what is new in `next` and keeps what is held.
   * @throws BlockError `busy`; then the locks are as before
   */
  add(next: Held): void {
    const before = this.#held
    try {
      this.#acquire({ used: before.used | next.used, unshared: before.unshared | next.unshared })
      this.#check(next)
    } catch (error) {
      this.reduce(before)
      throw error
    }
  }

  /** Unlocks everything that is not in `next`. Never fails: what cannot be unlocked stays until the file is closed. */
  reduce(next: Held): void {
    for (const bit of BITS) {
      if (!(next.used & (1 << bit))) this.#libc.setLock(this.#fd, USED + bit, false)
      if (!(next.unshared & (1 << bit))) this.#libc.setLock(this.#fd, UNSHARED + bit, false)
    }
    this.#held = next
  }

  #acquire(next: Held): void {
    for (const bit of BITS) {
      if (next.used & (1 << bit)) this.#lock(USED + bit)
      if (next.unshared & (1 << bit)) this.#lock(UNSHARED + bit)
    }
    this.#held = next
  }

  #lock(byte: number): void {
    const result = this.#libc.setLock(this.#fd, byte, true)
    if (result >= 0) return
    throw new BlockError('busy', `Failed to lock byte ${byte}\n${this.#hint()}`, { cause: systemError('fcntl', -result), detail: { filename: this.#filename } })
  }

  #check(next: Held): void {
    for (const bit of BITS) {
      if (next.used & (1 << bit) && this.#conflicts(UNSHARED + bit)) throw this.#busy('', bit)
      if (next.unshared & (1 << bit) && this.#conflicts(USED + bit)) throw this.#busy('shared ', bit)
    }
  }

  #conflicts(byte: number): boolean {
    return this.#libc.testLock(this.#fd, byte) !== 0
  }

  #busy(shared: string, bit: number): BlockError {
    const permission = permissionNames(1 << bit)[0]!
    return new BlockError('busy', `Failed to get ${shared}"${permission}" lock\n${this.#hint()}`, {
      errno: 'EAGAIN',
      detail: { filename: this.#filename, permission, shared: shared !== '' },
    })
  }

  #hint(): string {
    return `Is another process using the image [${this.#filename}]?`
  }
}

/** What to hold for a mask of used permissions and one of shared ones. @internal */
export function heldFor(used: number, shared: number): Held {
  return { used: used & Permission.ALL, unshared: Permission.ALL & ~shared }
}
