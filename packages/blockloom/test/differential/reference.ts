import { closeSync, copyFileSync, fstatSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import type { Chain } from './chain.ts'
import { assertSameBytes } from './compare.ts'
import { contentOption } from './content.ts'
import { openImage } from 'blockloom'
import { SECRET, SECRET_ID } from './layer.ts'
import type { GuestModel } from './model.ts'
import type { Change, Session } from './operations.ts'
import { assertDirty, createByUs } from './ours.ts'
import { mustRun, runTool } from './run-tool.ts'

/** Comparing is synchronous: one buffer is enough. */
const CHUNK = new Uint8Array(1 << 20)

/** The secret, for tools that may need it. */
const OBJECTS = ['--object', `secret,id=${SECRET_ID},data=${SECRET}`]

/** How a tool is told which image to open, and with which key. */
export function imageArguments(chain: Chain, layer: number, file = chain.file(layer)): string[] {
  return namedImage(file, chain.layers[layer]!.format, chain.isEncrypted(layer))
}

function namedImage(file: string, format: string, isEncrypted: boolean): string[] {
  return isEncrypted ? [...OBJECTS, '--image-opts', `driver=${format},encrypt.key-secret=${SECRET_ID},file.filename=${file}`] : ['-f', format, file]
}

/** Creates a layer with qemu-img. */
export async function createByReference(chain: Chain, layer: number): Promise<void> {
  // It takes seconds to find out how fast it is, and gives up on a busy machine.
  if (chain.layers[layer]!.encryption === 'luks') return createByUs(chain, layer)
  const { format, size } = chain.layers[layer]!
  const { backing_file, backing_fmt, ...options } = chain.creation(layer)
  const list = Object.entries(options).map(([name, value]) => `${name}=${value}`)
  await mustRun('qemu-img', [
    'create', '-q', '-f', format, ...(chain.isEncrypted(layer) ? OBJECTS : []),
    ...(list.length === 0 ? [] : ['-o', list.join(',')]),
    ...(backing_file === undefined ? [] : ['-b', backing_file, '-F', backing_fmt!]),
    chain.file(layer), String(size),
  ])
}

/** The qemu-io command for a change. */
export function ioCommand(change: Change, folder: string): string {
  switch (change.kind) {
    case 'write':
      return `write ${contentOption(change.content, folder)} ${change.offset} ${change.bytes}`
    case 'compressed':
      return `write -c ${contentOption(change.content, folder)} ${change.offset} ${change.bytes}`
    case 'zero':
      return `write -z ${change.unmap ? '-u ' : ''}${change.offset} ${change.bytes}`
    case 'discard':
      return `discard ${change.offset} ${change.bytes}`
    case 'resize':
      return `truncate ${change.size}`
  }
}

/** Runs sessions in one qemu-io process. The model follows; reads are checked against it. */
export async function writeByReference(chain: Chain, sessions: readonly Session[], model: GuestModel): Promise<void> {
  let script: string[] = []
  for (const { layer, operations, killed } of sessions) {
    model.open(chain.layers[layer]!)
    script.push(openCommand(chain, layer))
    for (const operation of operations) {
      if (operation.kind === 'flush') script.push('flush')
      else if (operation.kind === 'read') {
        script.push(`read -P ${model.bytes[operation.offset]} ${operation.offset} ${model.sameFrom(operation.offset, operation.bytes)}`)
      } else {
        script.push(ioCommand(operation, chain.folder))
        model.apply(operation)
        chain.bitmaps[layer]!.apply(operation)
      }
    }
    if (killed) {
      await runIo([...script, 'flush', 'sigraise 9'], true)
      script = []
    } else {
      script.push('close')
    }
  }
  if (script.length > 0) await runIo(script)
}

/** The command that opens a layer for writing; no cache mode that waits for the host's disk. */
export function openCommand(chain: Chain, layer: number): string {
  const key = chain.isEncrypted(layer) ? `,encrypt.key-secret=${SECRET_ID}` : ''
  return `open -t unsafe -o driver=${chain.layers[layer]!.format}${key} ${chain.file(layer)}`
}

/** Runs a script, whose last command may end the process; qemu-io reports failures in words and goes on. */
export async function runIo(script: readonly string[], killed = false): Promise<void> {
  const { status, stdout, stderr } = await runTool('qemu-io', OBJECTS, `${script.join('\n')}\nquit\n`)
  const failed = /(failed:|verification failed|can't open|not found|Parsing error|error:|no file open)[^\n]*/i.exec(stdout + stderr)
  if ((status === 0) === killed || failed) throw new Error(`qemu-io: ${failed?.[0] ?? `ended with ${status}`}\n${stdout}${stderr}`)
}

/** Throws unless the reference sees these bytes in an image. */
export async function assertReferenceSees(expected: Uint8Array, image: string, format: string, more: readonly string[] = [], isEncrypted = false): Promise<void> {
  const out = `${image}${more.join('-')}.raw`
  await mustRun('qemu-img', ['convert', '-t', 'unsafe', '-O', 'raw', ...more, ...namedImage(image, format, isEncrypted), out])
  // A snapshot is shown in the size that the disk has now.
  const size = more.includes('-l') ? statSync(out).size : expected.length
  assertSameFile(out, expected.subarray(0, size), Math.max(0, size - expected.length))
  rmSync(out)
}

/** Throws unless a file holds these bytes, and at most `slack` more; without reading all of it into memory. */
export function assertSameFile(file: string, expected: Uint8Array, slack = 0): void {
  const fd = openSync(file, 'r')
  try {
    const { size } = fstatSync(fd)
    if (size < expected.length || size > expected.length + slack) throw new Error(`Expected ${expected.length} bytes, got ${size}`)
    for (let at = 0; at < expected.length; at += CHUNK.length) {
      const read = readSync(fd, CHUNK, 0, Math.min(CHUNK.length, expected.length - at), at)
      assertSameBytes(CHUNK.subarray(0, read), expected.subarray(at, at + read), at)
    }
  } finally {
    closeSync(fd)
  }
}

/** Throws unless `qemu-img check` finds neither corruptions nor leaks. */
export async function assertClean(image: string, isEncrypted = false): Promise<void> {
  const { status, stdout, stderr } = await runTool('qemu-img', ['check', ...namedImage(image, 'qcow2', isEncrypted)])
  if (status !== 0) throw new Error(`qemu-img check ${image} ended with ${status}\n${(stdout + stderr).split('\n').slice(0, 40).join('\n')}`)
}

/** Throws unless the reference sees the first bitmap of a layer: it merges that into a new one of a copy. */
export async function assertReferenceSeesBitmaps(chain: Chain, layer: number): Promise<void> {
  const model = chain.bitmaps[layer]!
  const [name] = model.names
  if (name === undefined) return
  const granularity = model.granularity(name)
  const copy = `${chain.file(layer)}.copy`
  copyFileSync(chain.file(layer), copy)
  await mustRun('qemu-img', ['bitmap', '--add', '--merge', name, '-g', String(granularity), ...imageArguments(chain, layer, copy), 'merged'])
  await using disk = await openImage(copy, { format: 'qcow2', implicit: 'allow', noBacking: true, noIo: true })
  await assertDirty(disk, 'merged', granularity, model.dirty(name))
}
