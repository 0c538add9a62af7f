import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openImage, type DiskImage } from 'blockloom'
import { oracleAvailable } from '@blockloom/oracle'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

// What discards do to the space that an image takes on the host: the same as the reference does.

const MIB = 1024 * 1024

describe.runIf(oracleAvailable() && process.platform === 'linux')('space that discards give back', () => {
  let folder: string
  const at = (name: string): string => join(folder, name)
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'blockloom-discard-'))
    for (const compat of ['1.1', '0.10']) {
      img('create', '-q', '-f', 'qcow2', '-o', `compat=${compat}`, `full-${compat}.qcow2`, '16M')
      io(['-f', 'qcow2', `full-${compat}.qcow2`], 'write -P 1 0 8M')
    }
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const img = (...args: string[]): string => execFileSync('qemu-img', args, { cwd: folder, encoding: 'utf8' })
  const io = (open: string[], ...commands: string[]): string => {
    const { stdout, stderr } = spawnSync('qemu-io', [...open, ...commands.flatMap((command) => ['-c', command])], { cwd: folder, encoding: 'utf8' })
    return stdout + stderr
  }
  const allocated = (name: string): number => statSync(at(name)).blocks * 512
  const near = (bytes: number): number => Math.round(bytes / MIB) + 0
  const map = (name: string): unknown => JSON.parse(img('map', '--output=json', '-f', 'qcow2', name))

  const spec = (filename: string, options: Readonly<Record<string, unknown>>): string =>
    `json:${JSON.stringify({ driver: 'qcow2', file: { driver: 'file', filename: at(filename) }, ...options })}`
  async function change(name: string, options: Readonly<Record<string, unknown>>, work: (disk: DiskImage) => Promise<void>): Promise<void> {
    const disk = await openImage(spec(name, options), { format: 'qcow2', write: true })
    await work(disk)
    await disk.close()
    img('check', '-q', '-f', 'qcow2', name)
  }

  /** Options, and whether a discard and a write of zeroes each free 4 MiB. */
  const modes = [
    [{ discard: 'unmap' }, true, false],
    [{ discard: 'on' }, true, false],
    [{ discard: 'ignore' }, false, false],
    [{ discard: 'off' }, false, false],
    [{ discard: 'unmap', 'detect-zeroes': 'on' }, true, false],
    [{ discard: 'unmap', 'detect-zeroes': 'unmap' }, true, true],
    [{ discard: 'ignore', 'detect-zeroes': 'on' }, false, false],
    [{ discard: 'unmap', 'pass-discard-request': 'off' }, false, false],
    [{ discard: 'unmap', 'detect-zeroes': 'unmap', 'pass-discard-request': 'off' }, false, false],
  ] as const
  test.each(modes)('%j: a discard frees %s, zeroes %s', async (options, byDiscard, byZeroes) => {
    for (const [kind, shrinks] of [['discard', byDiscard], ['zeroes', byZeroes]] as const) {
      for (const name of ['ours.qcow2', 'theirs.qcow2']) copyFileSync(at('full-1.1.qcow2'), at(name))
      const before = near(allocated('ours.qcow2'))
      await change('ours.qcow2', options, async (disk) => {
        if (kind === 'discard') await disk.node.discard(2 * MIB, 4 * MIB)
        else await disk.write(2 * MIB, new Uint8Array(4 * MIB))
      })
      const opts = ['driver=qcow2,file.filename=theirs.qcow2', ...Object.entries(options).map(([option, value]) => `${option}=${value}`)].join(',')
      io(['--image-opts', opts], kind === 'discard' ? 'discard 2M 4M' : 'write -P 0 2M 4M')
      expect({ kind, freed: before - near(allocated('ours.qcow2')) }).toEqual({ kind, freed: shrinks ? 4 : 0 })
      expect(near(allocated('theirs.qcow2'))).toBe(near(allocated('ours.qcow2')))
      expect(map('ours.qcow2')).toEqual(map('theirs.qcow2'))
    }
  })

  test('unless the image says otherwise, how it is opened decides', async () => {
    for (const [unmap, freed] of [[true, 4], [false, 0], [undefined, 0]] as const) {
      copyFileSync(at('full-1.1.qcow2'), at('ours.qcow2'))
      const before = near(allocated('ours.qcow2'))
      const disk = await openImage(at('ours.qcow2'), { format: 'qcow2', write: true, ...(unmap === undefined ? {} : { unmap }) })
      await disk.node.discard(2 * MIB, 4 * MIB)
      await disk.close()
      expect(before - near(allocated('ours.qcow2'))).toBe(freed)
    }
  })

  test('combinations that make no sense are refused as by the reference', async () => {
    for (const options of [{ discard: 'ignore', 'detect-zeroes': 'unmap' }, { discard: 'off', 'detect-zeroes': 'unmap' }]) {
      const theirs = io(['--image-opts', `driver=qcow2,file.filename=full-1.1.qcow2,${Object.entries(options).map((each) => each.join('=')).join(',')}`], 'read 0 512')
      const message = 'setting detect-zeroes to unmap is not allowed without setting discard operation to unmap'
      expect(theirs).toContain(message)
      await expect(openImage(spec('full-1.1.qcow2', options), { format: 'qcow2', write: true })).rejects.toMatchObject({ code: 'invalid', message })
    }
    await expect(openImage(spec('full-1.1.qcow2', { discard: 'sometimes' }), { format: 'qcow2' })).rejects.toMatchObject({ code: 'invalid', detail: { option: 'discard' } })
  })

  test('version 2 gives space back too', async () => {
    copyFileSync(at('full-0.10.qcow2'), at('ours.qcow2'))
    const before = near(allocated('ours.qcow2'))
    await change('ours.qcow2', { discard: 'unmap' }, (disk) => disk.node.discard(2 * MIB, 4 * MIB))
    expect(before - near(allocated('ours.qcow2'))).toBe(4)
  })

  test.each([[{}, 4], [{ 'pass-discard-snapshot': false }, 0]] as const)('removing a snapshot, with %j, frees %i MiB', async (options, freed) => {
    copyFileSync(at('full-1.1.qcow2'), at('ours.qcow2'))
    img('snapshot', '-c', 's', 'ours.qcow2')
    io(['-f', 'qcow2', 'ours.qcow2'], 'write -P 2 0 4M')
    const before = allocated('ours.qcow2')
    await change('ours.qcow2', options, (disk) => disk.node.snapshots!.remove!('s'))
    expect(near(before - allocated('ours.qcow2'))).toBe(freed)
  })

  test.each([[{}, 0], [{ 'pass-discard-other': true }, 1]] as const)('writing over compressed clusters, with %j, frees their %i MiB', async (options, freed) => {
    img('create', '-q', '-f', 'qcow2', 'ours.qcow2', '16M')
    // It compresses to half of its length.
    const noise = Uint8Array.from(randomBytes(2 * MIB), (byte) => byte & 15)
    await change('ours.qcow2', {}, async (disk) => {
      for (let offset = 0; offset < noise.length; offset += 65536) await disk.node.writeCompressed(offset, noise.subarray(offset, offset + 65536))
    })
    const before = allocated('ours.qcow2')
    await change('ours.qcow2', options, (disk) => disk.write(0, noise))
    const grown = near(allocated('ours.qcow2') - before)
    expect(grown).toBe(2 - freed)
  })

  test('with discard-no-unref the space goes, the clusters stay, and the file does not grow however often that happens', async () => {
    copyFileSync(at('full-1.1.qcow2'), at('ours.qcow2'))
    const before = allocated('ours.qcow2')
    const { size } = statSync(at('ours.qcow2'))
    const options = { discard: 'unmap', 'discard-no-unref': true }
    await change('ours.qcow2', options, (disk) => disk.node.discard(2 * MIB, 4 * MIB))
    expect(near(before - allocated('ours.qcow2'))).toBe(4)
    expect(img('check', '-f', 'qcow2', 'ours.qcow2')).toContain('128/256 = 50.00% allocated, 0.00% fragmented')
    for (let round = 0; round < 10; round++) {
      await change('ours.qcow2', options, async (disk) => {
        await disk.write(2 * MIB + round * 65536, new Uint8Array(MIB).fill(round + 5))
        await disk.node.discard(((round * 3) % 8) * MIB, MIB)
      })
    }
    expect(statSync(at('ours.qcow2')).size).toBe(size)
    expect(img('check', '-f', 'qcow2', 'ours.qcow2')).toContain('128/256 = 50.00% allocated, 0.00% fragmented')
  })
})
