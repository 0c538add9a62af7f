import { Worker } from 'node:worker_threads'
import type { Answer, Question } from './judge-worker.ts'

/** A case that is not settled by then hangs; generous, for busy machines. */
const HANGS_MS = 20_000

/** Opens hostile images in a thread of its own, which is given up when it hangs. */
export class Judge {
  #worker: Worker | null = null

  ask(question: Question): Promise<Answer> {
    const worker = (this.#worker ??= new Worker(new URL('./judge-worker.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 256 } }))
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        worker.removeAllListeners()
      }
      const fail = (error: Error): void => {
        leave()
        this.#worker = null
        void worker.terminate()
        reject(error)
      }
      const timer = setTimeout(() => fail(new Error(`hangs for more than ${HANGS_MS} ms`)), HANGS_MS)
      worker.once('error', (error) => fail(new Error('ended its thread', { cause: error })))
      worker.once('message', (answer: Answer) => {
        leave()
        resolve(answer)
      })
      worker.postMessage(question)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate()
  }
}
