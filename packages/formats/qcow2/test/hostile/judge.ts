import { Worker } from 'node:worker_threads'
import type { Answer, Question } from './judge-worker.ts'

/** A case that is not settled by then hangs, or loops for ever; generous, for busy machines. */
const HANGS_MS = 60_000

/** Opens hostile images in a thread of its own, which is given up when it hangs. */
export class Judge {
  /** At most one. */
  readonly #workers: Worker[] = []

  ask(question: Question): Promise<Answer> {
    if (this.#workers.length === 0) this.#workers.push(new Worker(new URL('./judge-worker.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 256 } }))
    const worker = this.#workers[0]!
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        worker.off('message', done)
        worker.off('error', died)
      }
      const fail = (error: Error): void => {
        leave()
        this.#workers.length = 0
        void worker.terminate()
        reject(error)
      }
      const done = (answer: Answer): void => {
        leave()
        resolve(answer)
      }
      const died = (error: unknown): void => fail(new Error('ended its thread', { cause: error }))
      const timer = setTimeout(() => fail(new Error(`hangs for more than ${HANGS_MS} ms`)), HANGS_MS)
      worker.on('message', done)
      worker.on('error', died)
      worker.postMessage(question)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#workers) await worker.terminate()
  }
}
