/** How much may pass unhindered, in seconds at the rate, so that late timers and small requests cost nothing. */
const SLACK_SECONDS = 0.1

/**
 * A leaky bucket as a meter: what passes is poured in, it leaks at the average rate, and nothing may pass while
 * there is more in it than it holds.
 *
 * A request passes when there is room for any of it and pours in all of it. So a request larger than the bucket is
 * not stuck; what it takes too much is waited for by those after it, and the long-run rate stays exact.
 *
 * - without a burst rate the bucket holds 0.1 s of the average rate
 * - with one it holds `max * length`, as docs/throttle.txt says, "The Leaky Bucket algorithm"
 * - with a burst length above 1 a second bucket, of 0.1 s at the burst rate, keeps the burst at that rate; with the
 *   default length of 1 the second's worth may pass at once, as the reference tools do (observed with qemu-io 7.2)
 *
 * @internal
 */
export class LeakyBucket {
  readonly #average: number
  readonly #max: number
  readonly #capacity: number
  readonly #pacedBurst: boolean
  #level = 0
  #burstLevel = 0

  /** `average` above 0 and `max` are units per second; `length` in seconds. */
  constructor(average: number, max: number, length: number) {
    this.#average = average
    this.#max = max
    this.#capacity = max > 0 ? max * length : average * SLACK_SECONDS
    this.#pacedBurst = max > 0 && length > 1
  }

  leak(seconds: number): void {
    this.#level = Math.max(this.#level - this.#average * seconds, 0)
    if (this.#pacedBurst) this.#burstLevel = Math.max(this.#burstLevel - this.#max * seconds, 0)
  }

  pour(units: number): void {
    this.#level += units
    if (this.#pacedBurst) this.#burstLevel += units
  }

  /** Seconds until something may pass, 0 when it may now. */
  wait(): number {
    let wait = (this.#level - this.#capacity) / this.#average
    if (this.#pacedBurst) {
      const paced = (this.#burstLevel - this.#max * SLACK_SECONDS) / this.#max
      if (paced > wait) wait = paced
    }
    return wait > 0 ? wait : 0
  }
}
