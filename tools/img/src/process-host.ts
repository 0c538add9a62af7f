import { fstatSync, statSync } from 'node:fs'
import { constants, devNull } from 'node:os'
import { basename } from 'node:path'
import { Interrupted } from './failure.ts'
import type { Host } from './host.ts'

/** Signals that ask a process to end. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** The real thing. @public */
export function processHost(program: string): Host {
  const stdout = onFirstUse(() => process.stdout)
  const stderr = onFirstUse(() => process.stderr)
  return {
    program: basename(program),
    get columns() {
      if (!mayBeTerminal(1)) return undefined
      const { isTTY, columns } = stdout()
      return isTTY ? columns : undefined
    },
    out: (text) => void stdout().write(text),
    err: (text) => void stderr().write(text),
    drained: async () => {
      const stream = stdout()
      if (stream.writableNeedDrain) await new Promise<void>((resolve) => stream.once('drain', resolve))
    },
    now: () => process.uptime() * 1000,
    interruptible,
  }
}

/** Making a stream takes Node milliseconds, and most commands that succeed print nothing. */
function onFirstUse<T extends NodeJS.WriteStream>(open: () => T): () => T {
  let opened: T | undefined
  return () => {
    if (opened !== undefined) return opened
    // Whoever read our output is gone: there is nobody left to tell.
    opened = open().on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
    return opened
  }
}

/** False for files, pipes and the null device. To know for certain takes Node's streams. */
function mayBeTerminal(fd: number): boolean {
  try {
    const stats = fstatSync(fd)
    return stats.isCharacterDevice() && stats.rdev !== statSync(devNull).rdev
  } catch {
    return true
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
