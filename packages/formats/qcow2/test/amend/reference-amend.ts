import { isBlockError, parseOptions, type Instance } from '@blockloom/block-driver'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { expect } from 'vitest'
import { qcow2 } from '../../src/index.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { optionsOf } from '../harness/create.ts'
import type { Reference } from '../harness/reference.ts'

/** A kind of image: how it is created, and what is in it. */
export interface Starting {
  readonly options: string
  readonly size?: string
  /** `qemu-io` commands and, with `!`, snapshots to take. */
  readonly before?: readonly string[]
  readonly backing?: boolean
  readonly dataFile?: boolean
}

/** Amends an open image with options as a command line has them. */
export function amend(image: Instance, options: string, progress: (done: number, total: number) => void = () => {}): Promise<void> {
  return image.amend!.amend(parseOptions(qcow2.creation!.amend!, optionsOf(options)), { progress })
}

/** What `qemu-img info` says, but for where the file is and how much space it takes. */
export function info(tools: Reference, name: string): Record<string, unknown> {
  const { filename: _, 'actual-size': __, ...facts } = JSON.parse(tools.img('info', '--output=json', name)) as Record<string, unknown>
  return facts
}

/** Content of the disk and of its snapshots. */
export async function contents(image: Instance): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = new Map([['', await readAll(image)]])
  for (const { id, name } of image.snapshots!.list()) found.set(name, await readAll(await image.snapshots!.openReadOnly(id)))
  return found
}

/** Which of them differ; '' is the disk. */
export function differing(some: ReadonlyMap<string, Uint8Array>, others: ReadonlyMap<string, Uint8Array>): string[] {
  return [...new Set([...some.keys(), ...others.keys()])].filter((name) => Buffer.compare(some.get(name) ?? NONE, others.get(name) ?? NONE) !== 0)
}

const NONE = new Uint8Array(0)

/** The images that both tools start with; each is made once. */
export class StartingImages {
  readonly #tools: Reference
  readonly #made = new Map<Starting, { readonly file: Uint8Array; readonly data: Uint8Array | undefined; readonly before: ReadonlyMap<string, Uint8Array> }>()

  constructor(tools: Reference) {
    this.#tools = tools
  }

  /**
   * The reference and we amend the same image, which must then be the same: facts, contents, and clean; or refused in the
   * same words, and unchanged.
   */
  async expectSame(starting: Starting, options: string): Promise<void> {
    const tools = this.#tools
    const where = `${JSON.stringify(starting)}, amended with ${options}`
    const { file: start, data: startData, before } = await this.make(starting)
    writeFileSync(tools.path('theirs.qcow2'), start)
    if (startData !== undefined) writeFileSync(tools.path('data.raw'), startData)
    const wanted = spawnSync('qemu-img', ['amend', '-f', 'qcow2', '-o', options, 'theirs.qcow2'], { cwd: tools.folder, encoding: 'utf8' })

    const file = new MemoryChild({ content: start })
    const data = startData && new MemoryChild({ content: startData })
    const open = (): Promise<Instance> => openQcow2({ file, ...(starting.backing && { backing: tools.load('base.raw') }), ...(data && { dataFile: data }) })
    const image = await open()
    let [done, end] = [-1, 0]
    const error: unknown = await amend(image, options, (now, total) => {
      expect(now, where).toBeGreaterThanOrEqual(done)
      expect(now, where).toBeLessThanOrEqual(total)
      done = now
      end = total
    }).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    const message = isBlockError(error) ? `qemu-img: ${error.message}` : error === undefined ? '' : String(error)
    expect(message, where).toBe(wanted.stderr.split('\n')[0])
    if (wanted.status !== 0) {
      expect(Buffer.compare(file.content, start), `${where}: refused, and changed all the same`).toBe(0)
      await image.close()
      return
    }
    expect(done, where).toBe(end)
    // What it is now is what it is when it is opened again.
    const here = await contents(image)
    expect(differing(here, before).filter((name) => name !== '' || !options.includes('size=')), where).toEqual([])
    await image.writer!.flush('stable')
    await image.close()
    const again = await open()
    expect(differing(await contents(again), here), where).toEqual([])
    const { corruptions, leaks, checkErrors } = await again.check!.check({ fix: 'none' })
    expect({ corruptions, leaks, checkErrors }, where).toEqual({ corruptions: 0, leaks: 0, checkErrors: 0 })
    await again.close()

    tools.save('ours.qcow2', file)
    if (data !== undefined) {
      expect(Buffer.compare(data.content, new Uint8Array(readFileSync(tools.path('data.raw')))), where).toBe(0)
      tools.save('data.raw', data)
    }
    tools.check('ours.qcow2')
    expect(info(tools, 'ours.qcow2'), where).toEqual(info(tools, 'theirs.qcow2'))
    // A file of the same data cannot be open twice.
    if (data === undefined) tools.img('compare', '-q', 'ours.qcow2', 'theirs.qcow2')
  }

  /** The files, and what is in them. */
  async make(starting: Starting) {
    const made = this.#made.get(starting)
    if (made !== undefined) return made
    const tools = this.#tools
    const { options, size = '1M', before: commands = [], backing, dataFile } = starting
    if (backing) writeFileSync(tools.path('base.raw'), new Uint8Array(700_000).fill(0xbb))
    const more = dataFile ? `${options === '' ? '' : ','}data_file=${tools.path('data.raw')}` : ''
    tools.create('start.qcow2', size, options + more, backing ? ['-b', 'base.raw', '-F', 'raw'] : [])
    for (const command of commands) {
      if (command.startsWith('!')) tools.img('snapshot', '-c', command.slice(1), 'start.qcow2')
      else tools.io('start.qcow2', command)
    }
    const [file, data] = [tools.load('start.qcow2'), dataFile ? tools.load('data.raw') : undefined]
    const image = await openQcow2({ file, ...(backing && { backing: tools.load('base.raw') }), ...(data && { dataFile: data }), mode: { readOnly: true } })
    const now = { file: file.content, data: data?.content, before: await contents(image) }
    this.#made.set(starting, now)
    return now
  }
}
