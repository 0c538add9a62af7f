import { readFileSync, writeFileSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { createGraph, type BlockNode, type GateRequest, type OpenOptions } from '@blockloom/block-core'
import { isBlockError } from '@blockloom/block-driver'
import { raw } from '@blockloom/format-raw'
import { createMemoryDisk, memoryDriver } from '@blockloom/protocol-memory'
import { qcow2 } from '../../src/index.ts'

/** A case for the worker: files by name; `image` is the one that is opened. */
export interface Question {
  readonly files: Readonly<Record<string, Uint8Array>>
  readonly image: string
  readonly gate: 'allow' | 'deny'
  /** Write to it, too. */
  readonly write: boolean
}

/** How one thing went. */
export interface Verdict {
  readonly ok: boolean
  /** Of an error: it is a BlockError with a message. */
  readonly named?: boolean
  readonly code?: string
  readonly field?: string
  readonly message?: string
}

export interface Answer {
  /** Opened for its metadata only. */
  readonly info: Verdict
  readonly read: Verdict
  readonly content?: Uint8Array
  readonly size?: number
  readonly snapshots: readonly Verdict[]
  readonly bitmaps: readonly Verdict[]
  /** Bitmaps were looked at. */
  readonly hasBitmaps: boolean
  readonly check?: Verdict & { readonly corruptions?: number; readonly leaks?: number; readonly checkErrors?: number }
  readonly write?: Verdict
  /** Repairing all errors: what it left, and what a check finds then. */
  readonly repair?: Verdict & { readonly left?: number; readonly after?: number }
  /** What the gate was asked: slot and name. */
  readonly asked: readonly string[]
  readonly warnings: readonly string[]
  /** The most memory that the process had during the case, less what it had before, in bytes. */
  readonly memory: number
  /** Processor time of all threads: codecs run on others. Not the time on the wall, which a busy machine makes longer. */
  readonly cpuMilliseconds: number
}

/** Above this only the start and the end of the disk are read. */
export const READ_WHOLE = 16 << 20

async function verdictOf(work: () => Promise<unknown>): Promise<Verdict> {
  try {
    await work()
    return { ok: true }
  } catch (error) {
    const { message, stack } = error as Error
    if (!isBlockError(error)) return { ok: false, named: false, message: stack ?? message }
    const field = error.detail['field'] ?? error.detail['option']
    return { ok: false, named: message !== '', code: error.code, message, ...(field === undefined ? {} : { field: String(field) }) }
  }
}

async function judge(question: Question): Promise<Answer> {
  const before = startMemory()
  const started = process.cpuUsage()
  const disks = new Map(Object.entries(question.files).map(([name, bytes]) => [name, createMemoryDisk(bytes)]))
  const asked: string[] = []
  const warnings: string[] = []
  const gate = (request: GateRequest): boolean => {
    asked.push(`${request.slot} ${request.filename}`)
    return question.gate === 'allow'
  }
  const withNode = (options: OpenOptions, work: (node: BlockNode) => Promise<void>): Promise<Verdict> =>
    verdictOf(async () => {
      await using graph = createGraph({ drivers: [qcow2, raw, memoryDriver(disks)], gate })
      graph.events.on('warning', ({ message }) => void warnings.push(message))
      const node = await graph.openSpec({ driver: 'qcow2', file: { driver: 'memory', name: question.image } }, options)
      await work(node)
    })

  const info = await withNode({ readOnly: true, noIo: true, noBacking: true }, async (node) => {
    await node.info()
    node.snapshots?.list()
    node.bitmaps?.list()
  })
  let content: Uint8Array | undefined
  let size: number | undefined
  const snapshots: Verdict[] = []
  const bitmaps: Verdict[] = []
  let hasBitmaps = false
  const read = await withNode({ readOnly: true }, async (node) => {
    size = node.size
    for (const snapshot of node.snapshots?.list().slice(0, 4) ?? []) {
      snapshots.push(
        await verdictOf(async () => {
          const instance = await node.snapshots!.openReadOnly(snapshot.id)
          await instance.read(0, new Uint8Array(Math.min(65536, await instance.size())), 0)
        }),
      )
    }
    hasBitmaps = node.bitmaps !== undefined
    const list = (): void => {
      for (const { name } of node.bitmaps?.list() ?? []) names.push(name)
    }
    const names: string[] = []
    bitmaps.push(await verdictOf(async () => list()))
    for (const name of names) bitmaps.push(await verdictOf(() => node.bitmaps!.load(name, () => {})))
    for (let at = 0, steps = 0; at < size && steps < 200; steps++) at += (await node.extents(at, size - at)).bytes
    const bytes = new Uint8Array(Math.min(size, READ_WHOLE))
    await node.read(0, bytes)
    if (size > READ_WHOLE) await node.read(size - 65536, new Uint8Array(65536))
    content = bytes
  })
  let counts = {}
  let checked = false
  const check = await withNode({ readOnly: true, forCheck: true, noBacking: true }, async (node) => {
    if (node.check === undefined) return
    const { corruptions, leaks, checkErrors } = await node.check.check({ fix: 'none' })
    counts = { corruptions, leaks, checkErrors }
    checked = true
  })
  const write = !question.write
    ? undefined
    : await withNode({ unmap: true }, async (node) => {
        await node.write(0, new Uint8Array(4096).fill(7))
        await node.write(node.size - 4096, new Uint8Array(4096).fill(8))
        await node.zero(4096, 4096)
        await node.discard(0, Math.min(node.size, 65536))
        await node.flush()
      })
  const repair = await repaired(question, gate)
  return {
    info,
    read,
    ...(content === undefined ? {} : { content }),
    ...(size === undefined ? {} : { size }),
    snapshots,
    bitmaps,
    hasBitmaps,
    ...(checked || !check.ok ? { check: { ...check, ...counts } } : {}),
    ...(write === undefined ? {} : { write }),
    ...(repair === undefined ? {} : { repair }),
    asked,
    warnings,
    memory: peakMemory() - before,
    cpuMilliseconds: cpuMilliseconds(started),
  }
}

/** Repairs a copy, and checks it; undefined if it cannot be opened or repaired. */
async function repaired({ files, image }: Question, gate: (request: GateRequest) => boolean): Promise<Answer['repair']> {
  const disks = new Map(Object.entries(files).map(([name, bytes]) => [name, createMemoryDisk(bytes)]))
  await using graph = createGraph({ drivers: [qcow2, raw, memoryDriver(disks)], gate })
  const open = (options: OpenOptions): Promise<BlockNode> => graph.openSpec({ driver: 'qcow2', file: { driver: 'memory', name: image } }, { forCheck: true, noBacking: true, ...options })
  let left = 0
  let after = 0
  let isRepaired = false
  const verdict = await verdictOf(async () => {
    const node = await open({})
    if (node.check?.fixes?.includes('errors') !== true) return
    const result = await node.check.check({ fix: 'errors' })
    left = result.corruptions + result.checkErrors
    await node.close()
    const again = await open({ readOnly: true })
    const { corruptions, checkErrors, leaks } = await again.check!.check({ fix: 'none' })
    after = corruptions + checkErrors + leaks
    isRepaired = true
  })
  return isRepaired || !verdict.ok ? { ...verdict, left, after } : undefined
}

/** Resident bytes now; the peak starts from there, if the system can do that (proc(5), clear_refs). */
function startMemory(): number {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
  return peakMemory()
}

function peakMemory(): number {
  try {
    return Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}

function cpuMilliseconds(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}

const port = parentPort
port?.on('message', (question: Question) => {
  void judge(question).then((answer) => port.postMessage(answer))
})
