import { basename } from 'node:path'
import { constants } from 'node:os'
import { Interrupted } from './failure.ts'
import type { Host } from './host.ts'

/** Signals that ask a process to end. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** The real thing. @public */
export function processHost(program: string): Host {
  const { stdout, stderr } = process
  // Whoever read our output is gone: there is nobody left to tell.
  for (const stream of [stdout, stderr]) stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  return {
    program: basename(program),
    columns: stdout.isTTY ? stdout.columns : undefined,
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    drained: async () => {
      if (stdout.writableNeedDrain) await new Promise<void>((resolve) => stdout.once('drain', resolve))
    },
    now: () => performance.now(),
    interruptible,
  }
}

async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const handlers = SIGNALS.map((name) => [name, () => controller.abort(new Interrupted({ name, number: constants.signals[name] }))] as const)
  // Once: who asks again does not want to wait.
  for (const [name, handler] of handlers) process.once(name, handler)
  try {
    return await work(controller.signal)
  } finally {
    for (const [name, handler] of handlers) process.removeListener(name, handler)
  }
}
