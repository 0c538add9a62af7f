import type { CreateContext } from '@blockloom/block-driver'
import { parseOptions } from '@blockloom/block-driver'
import { qcow2CreateOptions, type Qcow2CreateOptions } from '../../src/create-options.ts'
import { createQcow2 } from '../../src/create.ts'
import { MemoryChild } from './memory-child.ts'
import { secretOf } from './open.ts'

/** `a=b,c=d` as a record. */
export function optionsOf(text: string): Record<string, string> {
  return Object.fromEntries(text.split(',').filter((part) => part !== '').map((part) => part.split('=', 2) as [string, string]))
}

/** A context that creates in memory; `files` receives the other files. */
export function createContext(
  file: MemoryChild,
  options: Readonly<Record<string, unknown>>,
  files: Map<string, MemoryChild> = new Map(),
  secrets?: Readonly<Record<string, string>>,
): CreateContext<Qcow2CreateOptions> {
  return {
    options: parseOptions(qcow2CreateOptions, options) as Qcow2CreateOptions,
    clock: { now: () => 0, sleep: () => Promise.reject(new Error('nobody sleeps here')) },
    signal: undefined,
    file,
    async createFile(_name, filename, size) {
      const other = new MemoryChild({ name: filename, content: new Uint8Array(size) })
      files.set(filename, other)
      return other
    },
    secret: async (id) => secretOf(secrets, id),
    warn: () => {},
  }
}

/** Creates an image in memory. */
export async function createInMemory(options: Readonly<Record<string, unknown>>, files?: Map<string, MemoryChild>, secrets?: Readonly<Record<string, string>>): Promise<MemoryChild> {
  const file = new MemoryChild()
  await createQcow2(createContext(file, options, files, secrets))
  return file
}
