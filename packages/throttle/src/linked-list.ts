/** What can be an item of a {@link LinkedList}; the fields are the list's own. @internal */
export interface Linked<T extends Linked<T>> {
  /** The list that the item is in: at most one at a time. */
  list: LinkedList<T> | null
  previous: T | null
  next: T | null
}

/**
 * A queue whose items leave from anywhere in constant time, as an aborted request does.
 *
 * @internal
 */
export class LinkedList<T extends Linked<T>> {
  #first: T | null = null
  #last: T | null = null
  #length = 0

  get first(): T | null {
    return this.#first
  }

  get length(): number {
    return this.#length
  }

  /** Appends an item that is in no list. */
  push(item: T): void {
    item.list = this
    item.previous = this.#last
    item.next = null
    if (this.#last === null) this.#first = item
    else this.#last.next = item
    this.#last = item
    this.#length++
  }

  /** Takes an item out; false when it is not in this list. */
  remove(item: T): boolean {
    if (item.list !== this) return false
    const { previous, next } = item
    if (previous === null) this.#first = next
    else previous.next = next
    if (next === null) this.#last = previous
    else next.previous = previous
    item.list = null
    item.previous = null
    item.next = null
    this.#length--
    return true
  }
}
