import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createGraph } from '@blockloom/block-core'
import { raw } from '@blockloom/format-raw'
import { checkImage, oracleAvailable, qemuImg, qemuIo, rawContent, SeededRandom, tempFolder } from '@blockloom/oracle'
import { createMemoryDisk, memoryDriver } from '@blockloom/protocol-memory'
import { afterAll, describe, expect, it } from 'vitest'
import { qcow2 } from '../../src/index.ts'
import { brokenPromise } from './broken-promise.ts'
import { Guest } from './guest.ts'
import { Recorder, recordingDriver, RecordingDisk } from './recording-disk.ts'
import { REFERENCE_POINTS, STACK_POINTS, stackScenarios, type StackScenario } from './stack-scenarios.ts'

// The power goes at any moment of a random workload. Whatever the disk below kept of what was not flushed, the image
// opens, a check finds no corruptions, and everything that the guest flushed is there.

describe.runIf(oracleAvailable())('after a power failure', () => {
  const folder = tempFolder()
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const seed = Number(process.env['CRASH_SEED'] ?? 1)

  it.each(Object.entries(stackScenarios))('%s', { timeout: 120_000 }, async (what, scenario) => {
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

    for (let point = 0; point < STACK_POINTS; point++) {
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
      if (point % Math.floor(STACK_POINTS / REFERENCE_POINTS) !== 0) continue
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
  function make(path: string, scenario: StackScenario): Uint8Array {
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
