import { execFileSync } from 'node:child_process'
import type { Instance, OpenMode } from '@blockloom/block-driver'
import { createInMemory, optionsOf } from '../harness/create.ts'
import type { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2 } from '../harness/open.ts'
import type { Reference } from '../harness/reference.ts'

/** The passphrase of all images here, and the name of its secret. */
export const PASSPHRASE = 'öpen sesame'
export const SECRETS: Readonly<Record<string, string>> = { s: PASSPHRASE, other: 'another one', wrong: 'not this' }

/** Creation options for LUKS that cost no time. */
export const LUKS = 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0'
export const AES = 'encrypt.format=aes,encrypt.key-secret=s'

/** Makes an encrypted image of ours; `options` as on a command line. */
export function createEncrypted(size: number, options: string, files?: Map<string, MemoryChild>): Promise<MemoryChild> {
  return createInMemory({ ...optionsOf(options), size }, files, SECRETS)
}

interface OpenEncrypted {
  readonly mode?: Partial<OpenMode>
  readonly backing?: MemoryChild
  readonly dataFile?: MemoryChild
  readonly secret?: string
  readonly options?: Readonly<Record<string, unknown>>
}

export function openEncrypted(file: MemoryChild, { secret = 's', options, ...init }: OpenEncrypted = {}): Promise<Instance> {
  return openQcow2({ file, ...init, options: { 'encrypt.key-secret': secret, ...options }, secrets: SECRETS, clock: { now: () => performance.now(), sleep: () => new Promise(() => {}) } })
}

const objects = (): string[] => Object.entries(SECRETS).flatMap(([id, data]) => ['--object', `secret,id=${id},data=${data}`])

/** Image options for the reference. */
export function imageOpts(name: string, secret = 's', more = ''): string {
  return `driver=qcow2,encrypt.key-secret=${secret},file.filename=${name}${more}`
}

/** Makes an encrypted image with the reference, again when its measurement of CPU time fails, as it does on a busy host. */
export function referenceCreate(reference: Reference, name: string, size: number, options: string): void {
  retrying(() => reference.create(name, String(size), options, objects()))
}

/** `qemu-img amend` of an encrypted image. */
export function referenceAmend(reference: Reference, name: string, options: string, secret = 's', ...more: string[]): void {
  retrying(() => reference.img('amend', ...objects(), ...more, '-o', options, '--image-opts', imageOpts(name, secret)))
}

function retrying(work: () => void): void {
  for (let attempt = 0; ; attempt++) {
    try {
      work()
      return
    } catch (error) {
      if (attempt === 20 || !String(error).includes('Unable to get accurate CPU usage')) throw error
    }
  }
}

/** `qemu-io` on an encrypted image; throws if a pattern is not there. */
export function referenceIo(reference: Reference, name: string, commands: readonly string[], more = ''): string {
  const args = [...objects(), '--image-opts', imageOpts(name, 's', more), ...commands.flatMap((command) => ['-c', command])]
  const said = execFileSync('qemu-io', args, { cwd: reference.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (/failed|error/i.test(said)) throw new Error(said)
  return said
}

/** The guest's bytes as the reference reads them. */
export function referenceRaw(reference: Reference, name: string, secret = 's', more = ''): Uint8Array {
  reference.img('convert', ...objects(), '-O', 'raw', '--image-opts', imageOpts(name, secret, more), `${name}.plain`)
  return reference.load(`${name}.plain`).content.slice()
}

/** Throws unless the reference finds neither corruptions nor leaks. */
export function referenceCheck(reference: Reference, name: string): void {
  reference.img('check', '-q', ...objects(), '--image-opts', imageOpts(name))
}

/** `qemu-img info` of an image. */
export function referenceInfo(reference: Reference, name: string): Record<string, unknown> {
  return JSON.parse(reference.img('info', '--output=json', name)) as Record<string, unknown>
}
