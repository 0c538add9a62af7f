import { failure } from '../failure.ts'

/** Collects what a driver did that the contract forbids, where throwing would only reach the driver. @internal */
export class Audit {
  readonly #breaches: string[] = []

  breach(what: string): void {
    if (this.#breaches.length < 20) this.#breaches.push(what)
  }

  /** @throws the breaches so far */
  verify(): void {
    if (this.#breaches.length > 0) throw failure(`the driver broke the contract: ${this.#breaches.splice(0).join('; ')}`)
  }
}
