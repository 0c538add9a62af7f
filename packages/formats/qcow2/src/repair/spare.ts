/**
 * Gives away clusters behind the end of the image file, where nothing can be, one after the other.
 *
 * @internal
 */
export class Spare {
  /** Clusters from here on are free. */
  next: number

  constructor(first: number) {
    this.next = first
  }

  /** The first of `count` clusters. */
  take(count: number): number {
    const first = this.next
    this.next += count
    return first
  }
}
