import type { Instance } from '@blockloom/block-driver'
import { spawnSync } from 'node:child_process'
import { expect } from 'vitest'
import { MemoryChild, type ChildEvent } from '../harness/memory-child.ts'
import { openQcow2, readAll, type OpenInit } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import type { Reference } from '../harness/reference.ts'

const SECTOR = 512

/** The files of an image, by what they are to it. */
export interface Files {
  readonly file: Uint8Array
  readonly backing?: Uint8Array
  readonly dataFile?: Uint8Array
}

type Children = Pick<OpenInit, 'file' | 'backing' | 'dataFile'> & { readonly file: MemoryChild; readonly dataFile?: MemoryChild }

/** Children in memory; those that the image changes share a log. */
export function childrenOf(files: Files, events: ChildEvent[] = []): Children {
  return {
    file: new MemoryChild({ content: files.file, events }),
    ...(files.backing && { backing: new MemoryChild({ name: 'backing', content: files.backing }) }),
    ...(files.dataFile && { dataFile: new MemoryChild({ name: 'data-file', content: files.dataFile, events }) }),
  }
}

/** What a crash test is about. */
interface Crashing {
  readonly files: Files
  readonly run: (image: Instance) => Promise<unknown>
  readonly options?: Readonly<Record<string, unknown>>
  /** Opens what the power loss left, and says what is wrong with it; null if nothing is. */
  readonly judge: (image: Instance, isDone: boolean) => Promise<string | null>
  readonly seed: number
  /** Every so many crash points the reference looks too. Default 40. */
  readonly everyReference?: number
}

/**
 * Cuts the power after every request that changes a file, several times: none of what no flush covered is there, all of
 * it, or some of it, and sectors of a write may be missing. A check must find no corruptions.
 *
 * Returns the number of crash points.
 */
export async function crashEverywhere(tools: Reference, crashing: Crashing): Promise<number> {
  const random = new Random(crashing.seed)
  const events: ChildEvent[] = []
  const children = childrenOf(crashing.files, events)
  for (const child of [children.file, children.dataFile]) if (child) child.recording = true
  const image = await openQcow2({ ...children, options: crashing.options ?? {} })
  const opened = events.length
  await crashing.run(image)
  const done = events.length
  await image.close()
  let points = 0
  for (let cut = opened; cut <= events.length; cut++) {
    for (const luck of [0, 1, 0.5, 0.5]) {
      const after = afterPowerLoss(crashing.files, children, events, cut, luck, random)
      const where = `seed ${crashing.seed}, cut at ${cut - opened} of ${done - opened}, luck ${luck}`
      points++
      const found = await openQcow2({ ...childrenOf(after), mode: { readOnly: true } }).catch((error: unknown) => {
        throw new Error(`${where}: does not open`, { cause: error })
      })
      const problems: string[] = []
      const { corruptions, checkErrors } = await found.check!.check({ fix: 'none', report: (line, severity) => void (severity === 'error' && problems.push(line)) })
      expect({ corruptions, checkErrors, problems }, where).toEqual({ corruptions: 0, checkErrors: 0, problems: [] })
      const wrong = await crashing.judge(found, cut >= done)
      if (wrong !== null) expect.fail(`${where}: ${wrong}`)
      await found.close()
      if (after.dataFile === undefined && points % (crashing.everyReference ?? 40) === 0) referenceFindsNothing(tools, after.file, where)
    }
  }
  return points
}

/** A name under which the reference opens an image and leaves its backing file alone. */
export function withoutBacking(filename: string): string {
  return `json:${JSON.stringify({ driver: 'qcow2', file: { driver: 'file', filename }, backing: null })}`
}

/** Leaks are allowed, nothing else. */
function referenceFindsNothing(tools: Reference, file: Uint8Array, where: string): void {
  tools.save('crashed.qcow2', new MemoryChild({ content: file }))
  const { status, stdout, stderr } = spawnSync('qemu-img', ['check', withoutBacking(tools.path('crashed.qcow2'))], { encoding: 'utf8' })
  if (status !== 0 && status !== 3) expect.fail(`${where}: ${stdout}${stderr}`)
}

function afterPowerLoss(files: Files, children: Children, events: readonly ChildEvent[], cut: number, luck: number, random: Random): Files {
  const disks = new Map<MemoryChild, Disk>([[children.file, new Disk(files.file)]])
  if (children.dataFile) disks.set(children.dataFile, new Disk(files.dataFile!))
  const covered = new Map<MemoryChild, number>()
  for (const event of events.slice(0, cut)) if (event.op === 'flush') covered.set(event.child, Math.max(covered.get(event.child) ?? 0, event.covers))
  for (const [index, event] of events.slice(0, cut).entries()) {
    if (event.op === 'flush') continue
    const disk = disks.get(event.child)!
    if (index < (covered.get(event.child) ?? 0) || random.chance(luck)) disk.apply(event)
    // Some of its sectors.
    else if (luck === 0.5 && event.op === 'write' && random.chance(0.3)) {
      for (let at = 0; at < event.bytes.length; at += SECTOR - ((event.offset + at) % SECTOR)) {
        const bytes = event.bytes.subarray(at, at + SECTOR - ((event.offset + at) % SECTOR))
        if (random.chance(0.5)) disk.apply({ ...event, offset: event.offset + at, bytes })
      }
    }
  }
  return {
    file: disks.get(children.file)!.content,
    ...(files.backing && { backing: files.backing }),
    ...(children.dataFile && { dataFile: disks.get(children.dataFile)!.content }),
  }
}

class Disk {
  #bytes: Uint8Array
  #size: number

  constructor(content: Uint8Array) {
    this.#bytes = content.slice()
    this.#size = content.length
  }

  get content(): Uint8Array {
    return this.#bytes.subarray(0, this.#size)
  }

  apply(event: Exclude<ChildEvent, { op: 'flush' }>): void {
    if (event.op === 'write') {
      this.#grow(event.offset + event.bytes.length)
      this.#bytes.set(event.bytes, event.offset)
    } else if (event.op === 'zero') {
      this.#grow(event.offset + event.length)
      this.#bytes.fill(0, event.offset, event.offset + event.length)
    } else if (event.op === 'discard') {
      this.#bytes.fill(0xdd, Math.min(event.offset, this.#size), Math.min(event.offset + event.length, this.#size))
    } else {
      if (event.size < this.#size) this.#bytes.fill(0, event.size, this.#size)
      this.#grow(event.size)
      this.#size = event.size
    }
  }

  #grow(size: number): void {
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(2 * size)
      larger.set(this.content)
      this.#bytes = larger
    }
    this.#size = Math.max(this.#size, size)
  }
}

/** What is wrong with the guest's bytes, if anything. */
export async function contentDiffers(image: Instance, content: Uint8Array): Promise<string | null> {
  const found = await readAll(image)
  if (found.length !== content.length) return `the disk has ${found.length} bytes instead of ${content.length}`
  if (Buffer.compare(found, content) === 0) return null
  const at = found.findIndex((byte, i) => byte !== content[i])
  return `byte ${at} is ${found[at]} instead of ${content[at]}`
}

/** What every fault must leave: the image as before or as after, a check without corruptions, and an instance that goes on. */
interface Faulting {
  readonly files: Files
  readonly run: (image: Instance) => Promise<unknown>
  readonly options?: Readonly<Record<string, unknown>>
  /** Says what is wrong after it has been done, in the end. */
  readonly judge: (image: Instance) => Promise<string | null>
  /** Says what is wrong after a failure. */
  readonly judgeFailed: (image: Instance) => Promise<string | null>
}

/** Lets each request to a child fail in turn; then does it again. Returns the number of failures. */
export async function failEverywhere(tools: Reference, faulting: Faulting): Promise<number> {
  let failures = 0
  let total = Infinity
  for (let fault = 0; fault < total; fault++) {
    const children = childrenOf(faulting.files)
    const image = await openQcow2({ ...children, options: faulting.options ?? {} })
    let count = 0
    let failed = ''
    const before = (op: string): void => {
      if (count++ !== fault) return
      failed = op
      throw new Error(`${op} failed`)
    }
    for (const child of [children.file, children.dataFile]) if (child) child.before = before
    const outcome = await faulting.run(image).then(
      () => 'done',
      (error: unknown) => String(error),
    )
    for (const child of [children.file, children.dataFile]) if (child) child.before = undefined
    if (count <= fault) total = fault
    const where = `request ${fault} (${failed})`
    if (outcome !== 'done') {
      failures++
      expect(outcome, where).toContain('failed')
      const wrong = await faulting.judgeFailed(image)
      if (wrong !== null) expect.fail(`${where}: after the failure ${wrong}`)
      await faulting.run(image)
    }
    const wrong = await faulting.judge(image)
    if (wrong !== null) expect.fail(`${where}: ${wrong}`)
    await image.close()
    if (children.dataFile === undefined && (fault % 10 === 0 || fault === total)) referenceFindsNothing(tools, children.file.content, where)
  }
  return failures
}
