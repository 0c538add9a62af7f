import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ChildHandle, Instance } from '@blockloom/block-driver'
import { SeededRandom } from '@blockloom/oracle'
import { createInMemory, optionsOf } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2 } from '../harness/open.ts'
import { Random } from '../harness/random.ts'
import { haveReference } from '../harness/reference.ts'
import { applyToModel, fill, perform, pickOperations, type Operation } from '../harness/workload.ts'
import { closed, contradiction, History, type View } from './history.ts'
import { RecordingChild } from './recording-child.ts'
import { Recorder, RecordingDisk } from './recording-disk.ts'
import { baseBytes, OTHER_BASE, type Scenario } from './scenario.ts'

/** The files of an image. */
interface Files {
  readonly file: Uint8Array
  readonly dataFile: Uint8Array | null
}

/** Does what a scenario says, and cuts the power at random moments of it. */
export class PowerLoss {
  readonly #scenario: Scenario
  readonly #random: Random
  readonly #recorder: Recorder
  readonly #folder: string | null
  #backing: MemoryChild | null = null
  #file!: RecordingDisk
  #dataFile: RecordingDisk | null = null
  #history!: History

  constructor(scenario: Scenario, seed: number) {
    this.#scenario = scenario
    this.#random = new Random(seed)
    this.#recorder = new Recorder(new SeededRandom(seed))
    this.#folder = haveReference && scenario.notForReference !== true ? mkdtempSync(join(tmpdir(), 'qcow2-crash-')) : null
  }

  [Symbol.dispose](): void {
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Records everything that happens. */
  async run(): Promise<void> {
    const { file, dataFile } = await this.#create()
    this.#file = new RecordingDisk(this.#recorder, file)
    this.#dataFile = dataFile === null ? null : new RecordingDisk(this.#recorder, dataFile)
    const before = await this.#open({ file, dataFile }, true)
    this.#history = new History({ ...(await this.#find(before)), open: [] })
    await before.close()
    const image = await this.#openOn(new RecordingChild('file', this.#file), this.#dataFile && new RecordingChild('data-file', this.#dataFile), false)
    for (let round = 0; round < (this.#scenario.rounds ?? 14); round++) {
      await this.#guest(image, round)
      const act = this.#scenario.next?.(this.#random, this.#history.now(), round) ?? null
      if (act === null) continue
      const done = this.#history.acting(act, this.#recorder.tick())
      await act.run(image).catch((error: unknown) => {
        throw new Error(`round ${round}: ${act.what}`, { cause: error })
      })
      done.acknowledged = this.#recorder.tick()
    }
    await image.close()
  }

  /**
   * Cuts the power: the image opens, has no corruptions, holds what was flushed, and can be written to.
   *
   * @param withReference - the reference must agree
   */
  async cut(withReference: boolean): Promise<void> {
    const at = this.#moment()
    const random = this.#recorder.random
    const files: Files = { file: this.#file.afterPowerLoss(at, random).slice(), dataFile: this.#dataFile?.afterPowerLoss(at, random).slice() ?? null }
    const possible = this.#history.possible(at)
    try {
      const mended = this.#scenario.mends ? await this.#mend(files) : files
      const found = await this.#examine(mended, possible)
      if (withReference) this.#askReference(mended, found.bytes)
      const after = await this.#goOn(mended, found)
      if (withReference) this.#askReference(after.files, after.bytes)
    } catch (error) {
      throw new Error(`power went at ${at} of ${this.#recorder.now}: ${String(error)}`, { cause: error })
    }
  }

  /** Any moment; or just before a flush is done, when most is undecided; or around a write to the header; or in an act. */
  #moment(): number {
    const random = this.#random
    const { acts, flushes } = this.#history
    const kind = random.below(5)
    if (kind === 0 && flushes.length > 0) return random.pick(flushes).done - 1
    const headers = this.#file.changes.filter(({ kind: what, offset }) => what === 'write' && offset < 512)
    if (kind === 1 && headers.length > 0) {
      const { issued, acknowledged } = random.pick(headers)
      return issued + random.below(acknowledged - issued + 3)
    }
    if (kind > 2 && acts.length > 0) {
      const { issued, acknowledged } = random.pick(acts)
      return issued + random.below(acknowledged - issued + 1)
    }
    return random.below(this.#recorder.now + 1)
  }

  async #create(): Promise<Files> {
    const { options, size, secrets, before, damage, garbage } = this.#scenario
    const named = this.#scenario.backing ? { backing_file: 'base', backing_fmt: 'raw' } : {}
    if (this.#scenario.backing) {
      const base = baseBytes(size)
      this.#backing = new MemoryChild({ name: 'backing', content: base })
      for (const name of ['base', OTHER_BASE]) if (this.#folder !== null) writeFileSync(join(this.#folder, name), base)
    }
    const others = new Map<string, MemoryChild>()
    const data = this.#scenario.dataFile ? { data_file: 'data' } : {}
    const file = await createInMemory({ ...optionsOf(options), ...named, ...data, size: String(size) }, others, secrets)
    const dataFile = others.get('data') ?? null
    const image = await this.#openOn(file, dataFile, false)
    const operations = this.#operations(image, size, 12, 1)
    await Promise.all(operations.map((operation) => perform(image, operation)))
    await before?.(image)
    await image.writer!.flush('stable')
    await image.close()
    damage?.(file.content)
    if (garbage) await file.write(file.size(), new Uint8Array(2 * size).fill(0xc3))
    return { file: file.content.slice(), dataFile: dataFile?.content.slice() ?? null }
  }

  /** Many requests at once, and perhaps flushes among them. */
  async #guest(image: Instance, round: number): Promise<void> {
    const random = this.#random
    const size = await image.size()
    const one = async (operation: Operation): Promise<void> => {
      const data = new Uint8Array(operation.bytes)
      if (operation.op === 'write' || operation.op === 'compress') fill(data, operation.offset, operation.value)
      const change = this.#history.changing(operation.offset, data, this.#recorder.tick())
      await perform(image, operation)
      change.acknowledged = this.#recorder.tick()
    }
    const flush = async (): Promise<void> => {
      const started = this.#recorder.tick()
      await image.writer!.flush('stable')
      this.#history.flushed(started, this.#recorder.tick())
    }
    for (let batches = 1 + random.below(3); batches > 0; batches--) {
      const work: Promise<void>[] = []
      for (const operation of this.#operations(image, size, 4 + random.below(13), round * 1000 + batches * 100)) {
        if (random.chance(0.05)) work.push(flush())
        work.push(one(operation))
      }
      if (random.chance(0.5)) work.push(flush())
      await Promise.all(work)
    }
    if (random.chance(0.3)) await flush()
  }

  #operations(image: Instance, size: number, count: number, value: number): Operation[] {
    const { backing, options, plain } = this.#scenario
    const { zeroAlignment, discardAlignment, clusterSize, requestAlignment } = image.limits
    // Version 2 cannot discard what would uncover the backing file.
    const discards = !(backing === true && options.includes('compat=0.10'))
    const limits = { zero: zeroAlignment, discard: discardAlignment, cluster: clusterSize, compress: image.compress !== undefined && plain !== true, discards }
    return pickOperations(this.#random, size, limits, count, value).flatMap((operation) => aligned(operation, requestAlignment))
  }

  /** Whatever a first open for writing repairs. */
  async #mend(files: Files): Promise<Files> {
    const file = new MemoryChild({ content: files.file })
    const dataFile = files.dataFile === null ? null : new MemoryChild({ content: files.dataFile })
    const image = await this.#openOn(file, dataFile, false)
    await image.close()
    return { file: file.content, dataFile: dataFile?.content ?? null }
  }

  async #examine(files: Files, possible: readonly View[]): Promise<View> {
    const image = await this.#open(files, true)
    await this.#check(image)
    const found = { ...(await this.#find(image)), open: [] }
    await image.close()
    const contradictions = possible.map((view) => contradiction(found, view))
    if (!contradictions.includes(null)) throw new Error(contradictions.join('; or '))
    return found
  }

  async #check(image: Instance): Promise<void> {
    const problems: string[] = []
    const { corruptions, checkErrors } = await image.check!.check({ fix: 'none', report: (line, severity) => void (severity === 'error' && problems.push(line)) })
    if (corruptions + checkErrors > 0) throw new Error(`${corruptions} corruptions, ${checkErrors} errors of the check:\n${problems.join('\n')}`)
  }

  async #find(image: Instance): Promise<Omit<View, 'open'>> {
    const snapshots = new Map<string, Uint8Array>()
    for (const { id, name } of image.snapshots!.list()) {
      const instance = await image.snapshots!.openReadOnly(id)
      snapshots.set(name, await readWhole(instance))
      await instance.close()
    }
    return { bytes: await readWhole(image), snapshots, facts: (await this.#scenario.facts?.(image)) ?? {} }
  }

  /** The guest goes on with what is left. */
  async #goOn(files: Files, found: View): Promise<{ readonly files: Files; readonly bytes: Uint8Array }> {
    const file = new MemoryChild({ content: files.file })
    const dataFile = files.dataFile === null ? null : new MemoryChild({ content: files.dataFile })
    const image = await this.#openOn(file, dataFile, false)
    const { bytes } = found
    const operations = this.#operations(image, bytes.length, 10, 50_000)
    await Promise.all(operations.map((operation) => perform(image, operation)))
    for (const operation of operations) applyToModel(bytes, operation)
    await image.writer!.flush('stable')
    await image.close()
    const after: Files = { file: file.content, dataFile: dataFile?.content ?? null }
    const again = await this.#open(after, true)
    await this.#check(again)
    const difference = contradiction({ ...(await this.#find(again)), facts: found.facts }, closed(found))
    await again.close()
    if (difference !== null) throw new Error(`after going on: ${difference}`)
    return { files: after, bytes }
  }

  /** The reference finds no corruptions either, and reads the same. */
  #askReference(files: Files, bytes: Uint8Array): void {
    const cwd = this.#folder
    if (cwd === null) return
    writeFileSync(join(cwd, 'image'), files.file)
    if (files.dataFile !== null) writeFileSync(join(cwd, 'data'), files.dataFile)
    const { status, stdout, stderr } = spawnSync('qemu-img', ['check', '-f', 'qcow2', 'image'], { cwd, encoding: 'utf8' })
    // Leaks are allowed, nothing else.
    if (status !== 0 && status !== 3) throw new Error(`the reference's check ended with ${status}: ${stdout}${stderr}`)
    const converted = spawnSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', 'image', 'raw'], { cwd, encoding: 'utf8' })
    if (converted.status !== 0) throw new Error(`the reference cannot read it: ${converted.stderr}`)
    if (Buffer.compare(readFileSync(join(cwd, 'raw')), bytes) !== 0) throw new Error('the reference reads something else')
  }

  #open(files: Files, readOnly: boolean): Promise<Instance> {
    return this.#openOn(new MemoryChild({ content: files.file }), files.dataFile === null ? null : new MemoryChild({ content: files.dataFile }), readOnly)
  }

  #openOn(file: ChildHandle, dataFile: ChildHandle | null, readOnly: boolean): Promise<Instance> {
    const { image, secrets } = this.#scenario
    return openQcow2({ file, backing: this.#backing, ...(dataFile === null ? {} : { dataFile }), options: image ?? {}, mode: { readOnly }, ...(secrets === undefined ? {} : { secrets }) })
  }
}

/** The part of an operation that the core would send; none if it is too short. */
function aligned(operation: Operation, align: number): Operation[] {
  const offset = Math.ceil(operation.offset / align) * align
  const end = Math.floor((operation.offset + operation.bytes) / align) * align
  return offset < end ? [{ ...operation, offset, bytes: end - offset }] : []
}

async function readWhole(image: Instance): Promise<Uint8Array> {
  const bytes = new Uint8Array(await image.size())
  await image.read(0, bytes, 0)
  return bytes
}
