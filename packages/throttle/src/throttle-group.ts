import type { ThrottleClock } from './throttle-clock.ts'
import type { ThrottleLimits } from './throttle-limits.ts'
import { ThrottleMember } from './throttle-member.ts'
import { Turns } from './turns.ts'

/** What a {@link ThrottleGroup} is made of. @public */
export interface ThrottleGroupOptions {
  /** The only source of time. */
  readonly clock: ThrottleClock
  /** No limits unless given. */
  readonly limits?: ThrottleLimits
  /** For people. */
  readonly name?: string
}

/**
 * Limits that several members share: together they stay within them.
 *
 * - Members that wait are served in turn, one request each, however many requests each has waiting.
 * - Readers and writers that wait for the same limit are served in turn too.
 * - A timer is armed only while somebody waits.
 *
 * @public
 */
export class ThrottleGroup {
  readonly name: string
  readonly #turns: Turns
  readonly #members = new Set<ThrottleMember>()

  /** @throws RangeError when the limits can not be used, with the message of {@link limitsProblem} */
  constructor(options: ThrottleGroupOptions) {
    this.name = options.name ?? ''
    this.#turns = new Turns(options.clock, options.limits ?? {})
  }

  /** The limits as they were given last. */
  get limits(): ThrottleLimits {
    return this.#turns.limits
  }

  /** Those that joined and did not leave. */
  get members(): ReadonlySet<ThrottleMember> {
    return this.#members
  }

  /** A new member; any number may join. */
  join(): ThrottleMember {
    const member = new ThrottleMember(this.#turns, (left) => this.#members.delete(left))
    this.#members.add(member)
    return member
  }

  /**
   * Replaces all limits, for all members. The meters begin empty, and requests that wait are looked at again: they
   * go on if the new limits let them.
   *
   * @throws RangeError when the limits can not be used; then nothing is changed
   */
  configure(limits: ThrottleLimits): void {
    this.#turns.configure(limits)
  }
}
