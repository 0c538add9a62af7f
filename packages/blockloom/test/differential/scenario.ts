import { withTempFolder } from '@blockloom/oracle'
import type { DiskImage } from 'blockloom'
import { join } from 'node:path'
import { contentBytes, writeSources, type Content } from './content.ts'
import type { Change } from './operations.ts'
import { applyChange, assertWeSee, openForWriting } from './ours.ts'
import { assertClean, assertReferenceSees, ioCommand, runIo } from './reference.ts'
import { mustRun } from './run-tool.ts'

/** An image that the reference makes and we change, with the bytes that a guest must see. */
export class Scenario {
  readonly folder: string
  readonly file: string
  expected: Uint8Array

  private constructor(folder: string, size: number) {
    this.folder = folder
    this.file = join(folder, 'image.qcow2')
    this.expected = new Uint8Array(size)
  }

  /** Runs a test in a fresh folder, with an image of these creation options. */
  static async run(size: number, options: string, test: (scenario: Scenario) => Promise<void>, more: readonly string[] = []): Promise<void> {
    await withTempFolder(async (folder) => {
      const scenario = new Scenario(folder, size)
      writeSources(folder)
      await mustRun('qemu-img', ['create', '-q', '-f', 'qcow2', ...(options === '' ? [] : ['-o', options]), ...more, scenario.file, String(size)])
      await test(scenario)
    })
  }

  /** Puts a raw backing file below, whose content is `content` all over. */
  async rebase(content: Content): Promise<void> {
    const base = join(this.folder, 'base.raw')
    const bytes = contentBytes(content, this.expected.length)
    await mustRun('qemu-img', ['create', '-q', '-f', 'raw', base, String(bytes.length)])
    await runIo([`open -t unsafe -o driver=raw ${base}`, ioCommand({ kind: 'write', offset: 0, bytes: bytes.length, content }, this.folder), 'close'])
    await mustRun('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-b', base, '-F', 'raw', this.file])
    this.expected = bytes
  }

  /** The reference changes the image. */
  async byReference(...changes: readonly Change[]): Promise<void> {
    await runIo([`open -t unsafe -o driver=qcow2 ${this.file}`, ...changes.map((change) => ioCommand(change, this.folder)), 'close'])
    for (const change of changes) this.note(change)
  }

  /** We change the image. */
  async byUs(...changes: readonly Change[]): Promise<void> {
    await this.open(async (disk) => {
      for (const change of changes) {
        await applyChange(disk, change)
        this.note(change)
      }
    })
  }

  /** Opens the image for writing, and closes it. */
  async open(work: (disk: DiskImage) => Promise<void>): Promise<void> {
    await using disk = await openForWriting(this.file, 'qcow2')
    await work(disk)
  }

  /** Runs qemu-img on the image. */
  async img(command: string, ...args: readonly string[]): Promise<string> {
    return mustRun('qemu-img', [command, ...args, this.file])
  }

  /** Both see the expected bytes, and the reference finds the image clean. */
  async verify(): Promise<void> {
    await assertClean(this.file)
    await this.verifyContent()
  }

  /** Both see the expected bytes. */
  async verifyContent(): Promise<void> {
    await assertWeSee(this.expected, this.file, 'qcow2')
    await assertReferenceSees(this.expected, this.file, 'qcow2')
  }

  /** The reference sees these bytes in an internal snapshot. */
  async verifySnapshot(name: string, expected: Uint8Array): Promise<void> {
    await assertReferenceSees(expected, this.file, 'qcow2', ['-l', `snapshot.name=${name}`])
  }

  /** A change as it shows in the expected bytes; discards are of whole clusters here. */
  note(change: Change): void {
    if (change.kind === 'resize') {
      const next = new Uint8Array(change.size)
      next.set(this.expected.subarray(0, change.size))
      this.expected = next
      return
    }
    const content = change.kind === 'write' || change.kind === 'compressed' ? change.content : 0
    this.expected.set(contentBytes(content, change.bytes), change.offset)
  }
}

/** Shorthands for changes. */
export const write = (offset: number, bytes: number, content: Content = 'noise'): Change => ({ kind: 'write', offset, bytes, content })
export const compressed = (offset: number, bytes: number, content: Content = 'text'): Change => ({ kind: 'compressed', offset, bytes, content })
export const zero = (offset: number, bytes: number, unmap = false): Change => ({ kind: 'zero', offset, bytes, unmap })
export const discard = (offset: number, bytes: number): Change => ({ kind: 'discard', offset, bytes })
