import { createGraph } from '@blockloom/block-core'
import { SeededRandom } from '@blockloom/oracle'
import { createMemoryDisk, memoryDriver } from '@blockloom/protocol-memory'
import { describe, expect, it } from 'vitest'
import { createQcow2 } from '../../src/create.ts'
import { qcow2 } from '../../src/index.ts'
import { brokenPromise } from '../crash/broken-promise.ts'
import { Guest, type Habits } from '../crash/guest.ts'
import { Recorder, recordingDriver, RecordingDisk } from '../crash/recording-disk.ts'
import { createContext, optionsOf } from '../harness/create.ts'
import { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2, readAll } from '../harness/open.ts'
import { AES, createEncrypted, LUKS, PASSPHRASE } from './encrypted-images.ts'

const KIB = 1024
const secrets = (): Uint8Array => new TextEncoder().encode(PASSPHRASE)
const UNLOCK = { driver: 'qcow2', 'encrypt.key-secret': 's' }
const seed = Number(process.env['CRASH_SEED'] ?? 1)

interface Scenario {
  readonly options: string
  readonly size: number
  readonly habits?: Partial<Habits>
  readonly points: number
}

const SCENARIOS: readonly Scenario[] = [
  { options: `${AES},cluster_size=4k`, size: 400 * KIB, habits: { growTo: 600 * KIB }, points: 80 },
  { options: `${AES},compat=0.10,cluster_size=2k`, size: 200 * KIB, points: 80 },
  { options: `${AES},extended_l2=on,cluster_size=16k`, size: 500 * KIB, points: 80 },
  // Unlocking takes its time.
  { options: `${LUKS},encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc,cluster_size=8k,preallocation=metadata`, size: 300 * KIB, points: 25 },
]

describe('after a power failure, an encrypted image', () => {
  it.each(SCENARIOS)('$options', { timeout: 60_000 }, async ({ options, size, habits, points }) => {
    const random = new SeededRandom(seed * 1000 + options.length)
    const recorder = new Recorder(random)
    const disk = new RecordingDisk(recorder, (await createEncrypted(size, options)).content.slice())
    await using graph = createGraph({ drivers: [qcow2, recordingDriver(new Map([['image', disk]]))], secrets })
    const node = await graph.openSpec({ ...UNLOCK, file: { driver: 'recording', name: 'image' } }, { unmap: true })
    const guest = new Guest(node, recorder, new Uint8Array(size))
    await guest.run({ operations: 200, depth: 8, compress: false, ...habits })
    await node.close()
    for (let point = 0; point < points; point++) {
      const cut = random.below(recorder.now + 1)
      const where = `seed ${seed}, point ${point}, cut at ${cut} of ${recorder.now}`
      const memory = new Map([['image', createMemoryDisk(disk.afterPowerLoss(cut, random))]])
      await using after = createGraph({ drivers: [qcow2, memoryDriver(memory)], secrets })
      const crashed = await after.openSpec({ ...UNLOCK, file: { driver: 'memory', name: 'image' } }, { readOnly: true })
      const { corruptions, checkErrors } = await crashed.check!.check({ fix: 'none', report: () => {} })
      expect({ corruptions, checkErrors }, where).toEqual({ corruptions: 0, checkErrors: 0 })
      const bytes = new Uint8Array(crashed.size)
      await crashed.read(0, bytes)
      expect(brokenPromise(bytes, guest.promised(cut)), where).toBe(null)
    }
  })

  it.each([LUKS, `${LUKS},preallocation=metadata,compat=0.10`, `${AES},preallocation=metadata`])('that was being made is no image yet: %s', async (options) => {
    const file = new MemoryChild()
    file.recording = true
    await createQcow2(createContext(file, { ...optionsOf(options), size: 256 * KIB }, undefined, { s: PASSPHRASE }))
    const header = file.events.findLastIndex((event) => event.op === 'write' && event.offset === 0)
    const covered = file.events.findLastIndex((event) => event.op === 'flush' && event.covers <= header)
    expect(covered).toBeGreaterThan(-1)
    for (let cut = 0; cut <= file.events.length; cut++) {
      const found = new MemoryChild()
      for (const event of file.events.slice(0, cut)) {
        if (event.op === 'write') await found.write(event.offset, event.bytes)
        else if (event.op === 'zero') await found.zero(event.offset, event.length)
        else if (event.op === 'resize') await found.resize(event.size)
      }
      const opening = openQcow2({ file: found, options: { 'encrypt.key-secret': 's' }, secrets: { s: PASSPHRASE } })
      if (cut <= header) await expect(opening).rejects.toMatchObject({ message: 'Image is not in qcow2 format' })
      else expect(Buffer.compare(await readAll(await opening), new Uint8Array(256 * KIB))).toBe(0)
    }
  })
})
