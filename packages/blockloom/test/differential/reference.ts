import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs'
import type { Chain } from './chain.ts'
import { assertSameBytes } from './compare.ts'
import { contentOption } from './content.ts'
import type { GuestModel } from './model.ts'
import type { Change, Session } from './operations.ts'
import { mustRun, runTool } from './run-tool.ts'

/** Comparing is synchronous: one buffer is enough. */
const CHUNK = new Uint8Array(1 << 20)

/** Creates a layer with qemu-img. */
export async function createByReference(chain: Chain, layer: number): Promise<void> {
  const { format, size } = chain.layers[layer]!
  const { backing_file, backing_fmt, ...options } = chain.creation(layer)
  const list = Object.entries(options).map(([name, value]) => `${name}=${value}`)
  await mustRun('qemu-img', [
    'create', '-q', '-f', format,
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
  for (const { layer, operations, snapshot } of sessions) {
    model.open(chain.layers[layer]!)
    if (snapshot) {
      await runIo(script)
      script = []
      await takeSnapshot(chain, layer, model)
    }
    script.push(openCommand(chain, layer))
    for (const operation of operations) {
      if (operation.kind === 'flush') script.push('flush')
      else if (operation.kind === 'read') {
        script.push(`read -P ${model.bytes[operation.offset]} ${operation.offset} ${model.sameFrom(operation.offset, operation.bytes)}`)
      } else {
        script.push(ioCommand(operation, chain.folder))
        model.apply(operation)
      }
    }
    script.push('close')
  }
  await runIo(script)
}

/** Takes an internal snapshot; the chain remembers what is in it. */
export async function takeSnapshot(chain: Chain, layer: number, model: GuestModel): Promise<void> {
  const name = `s${chain.snapshots.length}`
  await mustRun('qemu-img', ['snapshot', '-q', '-c', name, chain.file(layer)])
  chain.snapshots.push({ layer, name, bytes: model.bytes.slice() })
}

/** The command that opens a layer for writing; no cache mode that waits for the host's disk. */
export function openCommand(chain: Chain, layer: number): string {
  return `open -t unsafe -o driver=${chain.layers[layer]!.format} ${chain.file(layer)}`
}

/** Runs a script; qemu-io reports failures in words and goes on. */
export async function runIo(script: readonly string[]): Promise<void> {
  const { status, stdout, stderr } = await runTool('qemu-io', [], `${script.join('\n')}\nquit\n`)
  const failed = /(failed:|verification failed|can't open|not found|Parsing error|error:|no file open)[^\n]*/i.exec(stdout + stderr)
  if (status !== 0 || failed) throw new Error(`qemu-io: ${failed?.[0] ?? `ended with ${status}`}\n${stdout}${stderr}`)
}

/** Throws unless the reference sees these bytes in an image. */
export async function assertReferenceSees(expected: Uint8Array, image: string, format: string, more: readonly string[] = []): Promise<void> {
  const out = `${image}${more.join('-')}.raw`
  await mustRun('qemu-img', ['convert', '-t', 'unsafe', '-f', format, ...more, '-O', 'raw', image, out])
  assertSameFile(out, expected)
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
export async function assertClean(image: string): Promise<void> {
  const { status, stdout, stderr } = await runTool('qemu-img', ['check', '-f', 'qcow2', image])
  if (status !== 0) throw new Error(`qemu-img check ${image} ended with ${status}\n${(stdout + stderr).split('\n').slice(0, 40).join('\n')}`)
}
