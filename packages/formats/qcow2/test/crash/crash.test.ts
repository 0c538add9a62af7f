import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createGraph } from '@blockloom/block-core'
import { raw } from '@blockloom/format-raw'
import { checkImage, oracleAvailable, qemuImg, qemuIo, rawContent, SeededRandom, tempFolder } from '@blockloom/oracle'
import { createMemoryDisk, memoryDriver } from '@blockloom/protocol-memory'
import { afterAll, describe, expect, it } from 'vitest'
import { qcow2 } from '../../src/index.ts'
import { Guest, type Habits, type Promised } from './guest.ts'
import { Recorder, recordingDriver, RecordingDisk } from './recording-disk.ts'

// The power goes at any moment of a random workload. Whatever the disk below kept of what was not flushed, the image
// opens, a check finds no corruptions, and everything that the guest flushed is there.

const KIB = 1024

interface Scenario {
  readonly options: string
  readonly size: number
  readonly habits?: Partial<Habits>
  readonly image?: Readonly<Record<string, unknown>>
  /** `qemu-io` commands and, with `!`, snapshots to take, before it starts. */
  readonly before?: readonly string[]
  readonly backing?: boolean
  readonly dataFile?: boolean
}

const SMALL_CACHES = { 'l2-cache-size': 0, 'refcount-cache-size': 0, 'l2-cache-entry-size': 512 }
const SNAPSHOTS = ['write -P 1 0 200k', '!first', 'write -P 2 100k 200k', 'write -z 20k 16k', '!second', 'write -P 3 150k 9k']

const scenarios: Readonly<Record<string, Scenario>> = {
  'version 3, 64k clusters': { options: 'cluster_size=64k', size: 1024 * KIB },
  'version 2, 4k clusters, the smallest caches': { options: 'compat=0.10,cluster_size=4k', size: 512 * KIB, image: SMALL_CACHES },
  'version 2, a backing file': { options: 'compat=0.10,cluster_size=2k', size: 256 * KIB, backing: true },
  '512-byte clusters, 64-bit refcounts, a growing refcount table': { options: 'cluster_size=512,refcount_bits=64', size: 2300 * KIB, before: ['write -P 1 0 1960k'] },
  '512-byte clusters, a growing disk and L1 table': { options: 'cluster_size=512', size: 33 * KIB, habits: { growTo: 400 * KIB } },
  '1-bit refcounts': { options: 'cluster_size=1k,refcount_bits=1', size: 256 * KIB },
  '4-bit refcounts and snapshots': { options: 'cluster_size=4k,refcount_bits=4', size: 512 * KIB, before: SNAPSHOTS },
  'snapshots, the smallest caches': { options: 'cluster_size=1k', size: 400 * KIB, before: SNAPSHOTS, image: SMALL_CACHES },
  'version 2 and snapshots': { options: 'compat=0.10,cluster_size=8k', size: 400 * KIB, before: SNAPSHOTS },
  'extended L2, a backing file': { options: 'extended_l2=on,cluster_size=16k', size: 700 * KIB, backing: true },
  'extended L2, snapshots, zstd': { options: 'extended_l2=on,cluster_size=64k,compression_type=zstd', size: 1024 * KIB, before: SNAPSHOTS },
  'zstd, a growing disk, a backing file': { options: 'cluster_size=4k,compression_type=zstd', size: 200 * KIB, backing: true, habits: { growTo: 900 * KIB } },
  'an external data file': { options: 'cluster_size=4k', size: 512 * KIB, dataFile: true },
}

/** Crash points of each scenario, and how many of them the reference looks at. */
const POINTS = 165
const REFERENCE_POINTS = 6

describe.runIf(oracleAvailable())('after a power failure', () => {
  const folder = tempFolder()
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const seed = Number(process.env['CRASH_SEED'] ?? 1)

  it.each(Object.entries(scenarios))('%s', { timeout: 60_000 }, async (what, scenario) => {
    const random = new SeededRandom(seed * 1000 + what.length)
    const name = what.replaceAll(/\W+/g, '-')
    const path = join(folder, `${name}.qcow2`)
    const initial = make(path, scenario)

    const recorder = new Recorder(random)
    const disks = new Map([['image', new RecordingDisk(recorder, read(path))]])
    if (scenario.dataFile) disks.set('data', new RecordingDisk(recorder, read(`${path}.data`)))
    const base = scenario.backing ? createMemoryDisk(read(`${path}.base`)) : undefined
    const backing = base === undefined ? {} : { backing: { driver: 'raw', file: { driver: 'memory', name: 'base' } } }
    const drivers = [qcow2, raw] as const

    await using graph = createGraph({ drivers: [...drivers, recordingDriver(disks), memoryDriver(new Map(base && [['base', base]]))] })
    const node = await graph.openSpec(
      { driver: 'qcow2', ...scenario.image, file: { driver: 'recording', name: 'image' }, ...backing, ...(scenario.dataFile ? { 'data-file': { driver: 'recording', name: 'data' } } : {}) },
      { unmap: true },
    )
    const guest = new Guest(node, recorder, initial)
    await guest.run({ operations: 220, depth: 8, compress: !scenario.dataFile, ...scenario.habits })
    await node.close()

    for (let point = 0; point < POINTS; point++) {
      const cut = random.below(recorder.now + 1)
      const where = `seed ${seed}, point ${point}, cut at ${cut} of ${recorder.now}`
      const found = new Map([...disks].map(([disk, recorded]) => [disk, recorded.afterPowerLoss(cut, random)]))
      const memory = new Map([...found].map(([disk, bytes]) => [disk, createMemoryDisk(bytes)]))
      if (base !== undefined) memory.set('base', base)
      await using after = createGraph({ drivers: [...drivers, memoryDriver(memory)] })
      const spec = { driver: 'qcow2', file: { driver: 'memory', name: 'image' }, ...backing, ...(scenario.dataFile ? { 'data-file': { driver: 'memory', name: 'data' } } : {}) }
      const crashed = await after.openSpec(spec, { readOnly: true }).catch((error: unknown) => {
        throw new Error(`${where}: does not open`, { cause: error })
      })
      if (crashed.check !== undefined) {
        const problems: string[] = []
        const { corruptions, checkErrors } = await crashed.check.check({ fix: 'none', report: (line, severity) => void (severity === 'error' && problems.push(line)) })
        expect({ corruptions, checkErrors, problems }, where).toEqual({ corruptions: 0, checkErrors: 0, problems: [] })
      }
      const bytes = new Uint8Array(crashed.size)
      await crashed.read(0, bytes)
      const broken = brokenPromise(bytes, guest.promised(cut))
      if (broken !== null) expect.fail(`${where}: ${broken}`)
      if (point % Math.floor(POINTS / REFERENCE_POINTS) !== 0) continue
      referenceAgrees(path, found, where, bytes)
      const later = await goOn(found)
      referenceAgrees(path, later.disks, `${where}, and then went on`, later.bytes)
    }

    /** The guest goes on with what is left. */
    async function goOn(found: ReadonlyMap<string, Uint8Array>): Promise<{ readonly disks: ReadonlyMap<string, Uint8Array>; readonly bytes: Uint8Array }> {
      const memory = new Map([...found].map(([disk, bytes]) => [disk, createMemoryDisk(bytes)]))
      if (base !== undefined) memory.set('base', base)
      await using again = createGraph({ drivers: [...drivers, memoryDriver(memory)] })
      const spec = { driver: 'qcow2', ...scenario.image, file: { driver: 'memory', name: 'image' }, ...backing, ...(scenario.dataFile ? { 'data-file': { driver: 'memory', name: 'data' } } : {}) }
      const disk = await again.openSpec(spec, { unmap: true })
      const bytes = new Uint8Array(disk.size)
      await disk.read(0, bytes)
      const second = new Guest(disk, recorder, bytes)
      await second.run({ operations: 60, depth: 4, compress: !scenario.dataFile })
      await disk.flush()
      const { content } = second.promised(recorder.now)
      await disk.read(0, bytes)
      expect(brokenPromise(bytes, { content, sizes: [bytes.length], open: second.promised(recorder.now).open })).toBe(null)
      await disk.close()
      return { disks: new Map([...found.keys()].map((each) => [each, memory.get(each)!.toBytes()])), bytes }
    }
  })

  /** Makes the image with the reference; returns what the guest sees. */
  function make(path: string, scenario: Scenario): Uint8Array {
    const more: string[] = []
    if (scenario.backing) {
      // Shorter than the disk, and not a multiple of the cluster size.
      writeFileSync(`${path}.base`, new SeededRandom(7).bytes(Math.floor(scenario.size * 0.9) - 700))
      more.push('-b', `${path}.base`, '-F', 'raw')
    }
    const dataFile = scenario.dataFile ? `,data_file=${path}.data` : ''
    qemuImg('create', '-q', '-f', 'qcow2', '-o', scenario.options + dataFile, ...more, path, String(scenario.size))
    for (const command of scenario.before ?? []) {
      if (command.startsWith('!')) qemuImg('snapshot', '-c', command.slice(1), path)
      else qemuIo(path, [command], { format: 'qcow2' })
    }
    return rawContent(path, 'qcow2')
  }

  /** The reference finds no corruptions either, and reads the same. */
  function referenceAgrees(path: string, found: ReadonlyMap<string, Uint8Array>, where: string, bytes: Uint8Array): void {
    writeFileSync(path, found.get('image')!)
    if (found.has('data')) writeFileSync(`${path}.data`, found.get('data')!)
    const { status, output } = checkImage(path)
    expect([0, 3], `${where}: the reference's check says ${output}`).toContain(status)
    expect(Buffer.compare(rawContent(path, 'qcow2'), bytes), `${where}: the reference reads something else`).toBe(0)
  }
})

function read(path: string): Uint8Array {
  return new Uint8Array(readFileSync(path))
}

const STEP = 4096

/** The first byte that is neither what was flushed nor what a later change put there; null if all is well. */
function brokenPromise(found: Uint8Array, { content, sizes, open }: Promised): string | null {
  if (!sizes.includes(found.length)) return `the disk has ${found.length} bytes, not ${sizes.join(' or ')}`
  for (let start = 0; start < found.length; start += STEP) {
    const end = Math.min(start + STEP, found.length)
    if (Buffer.compare(found.subarray(start, end), content.subarray(start, end)) === 0) continue
    const here = open.filter(({ offset, data }) => offset < end && offset + data.length > start)
    for (let at = start; at < end; at++) {
      if (found[at] === content[at] || here.some(({ offset, data }) => data[at - offset] === found[at])) continue
      return `byte ${at} is ${found[at]}, flushed was ${content[at]}`
    }
  }
  return null
}
