/**
 * The promise of requests that were completed in the turn in which they were made. Drivers return it where they can, and
 * whoever gets this very promise need not wait: a request of a few microseconds then takes no turn in any layer.
 *
 * @public
 */
export const DONE: Promise<void> = Promise.resolve()
