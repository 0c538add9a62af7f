// Images with something in them that a careless writer would break.
import { isBlockError } from '@blockloom/block-driver'
import { checkImage, oracleAvailable } from '@blockloom/oracle'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { assertWeSee, openForWriting } from './ours.ts'
import { mustRun, runTool } from './run-tool.ts'
import { discard, Scenario, write, zero } from './scenario.ts'

const KIB = 1024
const MIB = KIB * KIB

/** Opening for writing fails, and changes nothing. */
async function expectRefused(file: string, words: RegExp): Promise<void> {
  const before = readFileSync(file)
  const error = await openForWriting(file, 'qcow2').then(
    (disk) => disk.close().then(() => undefined),
    (reason: unknown) => reason,
  )
  expect(isBlockError(error)).toBe(true)
  expect((error as Error).message).toMatch(words)
  expect(readFileSync(file).equals(before)).toBe(true)
}

describe.runIf(oracleAvailable())('unusual images', () => {
  test('persistent bitmaps: writing harms neither them nor the data', async () => {
    await Scenario.run(MIB, 'cluster_size=4k', async (s) => {
      await s.byReference(write(0, 512 * KIB))
      for (const name of ['one', 'two']) await mustRun('qemu-img', ['bitmap', '--add', '-g', '4096', s.file, name])
      await s.byReference(write(8 * KIB, 100, 4))
      await s.byUs(write(100_000, 10_000, 3), discard(256 * KIB, 64 * KIB), write(600 * KIB, 100 * KIB, 'text'))
      expect(checkImage(s.file)).toMatchObject({ status: 0, corruptions: 0, leaks: 0, checkErrors: 0 })
      await s.verify()
      const info = JSON.parse(await mustRun('qemu-img', ['info', '--output=json', s.file])) as { 'format-specific': { data: { bitmaps: { name: string }[] } } }
      expect(info['format-specific'].data.bitmaps.map(({ name }) => name)).toEqual(['one', 'two'])
    })
  })

  test('dirty: read as it is, and not written to before its refcounts are right', async () => {
    await Scenario.run(MIB, 'cluster_size=4k,lazy_refcounts=on', async (s) => {
      const { status } = await runTool('qemu-io', ['-f', 'qcow2', s.file], 'write -P 3 0 300k\nflush\nsigraise 9\n')
      expect(status).not.toBe(0)
      s.note(write(0, 300 * KIB, 3))
      expect(checkImage(s.file).corruptions).toBeGreaterThan(0)
      await assertWeSee(s.expected, s.file, 'qcow2')

      const written = await s.byUs(write(100_000, 10_000, 4)).then(() => true, (error: unknown) => (expect(String(error)).toMatch(/dirty/), false))
      if (!written) await runTool('qemu-img', ['check', '-r', 'all', s.file])
      await s.verify()
      await s.byUs(write(200_000, 300_000, 'text'), zero(0, 5000))
      await s.verify()
    })
  })

  test('marked corrupt: refused for writing', async () => {
    await Scenario.run(MIB, '', async (s) => {
      await s.byReference(write(0, 512 * KIB))
      const bytes = readFileSync(s.file)
      bytes[79]! |= 2
      writeFileSync(s.file, bytes)
      await expectRefused(s.file, /corrupt/)
      await assertWeSee(s.expected, s.file, 'qcow2')
    })
  })

  test('an incompatible feature that nobody knows: refused', async () => {
    await Scenario.run(MIB, '', async (s) => {
      const bytes = readFileSync(s.file)
      bytes[75]! |= 1
      writeFileSync(s.file, bytes)
      await expectRefused(s.file, /[Uu]nsupported|unknown/)
    })
  })

  test('encrypted: refused, never written in clear', async () => {
    const secret = ['--object', 'secret,id=key,data=opensesame']
    await Scenario.run(MIB, 'encrypt.format=aes,encrypt.key-secret=key', async (s) => expectRefused(s.file, /encrypt/i), secret)
  })

  test('preallocated: written in place, and still clean', async () => {
    for (const mode of ['metadata', 'full']) {
      await Scenario.run(2 * MIB, `cluster_size=4k,preallocation=${mode}`, async (s) => {
        const { length } = readFileSync(s.file)
        await s.byUs(write(0, MIB), write(MIB + 1, 3000, 4), zero(100 * KIB, 50 * KIB))
        await s.verify()
        expect(readFileSync(s.file).length).toBe(length)
      })
    }
  })

  test('a backing file that is shorter than the overlay, and one that is longer', async () => {
    for (const [below, above] of [[100 * KIB + 512, 300 * KIB], [300 * KIB, 100 * KIB + 512]] as const) {
      await Scenario.run(below, 'cluster_size=64k', async (s) => {
        await s.byReference(write(0, below))
        const base = `${s.file}.base`
        await mustRun('mv', [s.file, base])
        await mustRun('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', '-o', 'cluster_size=16k', s.file, String(above)])
        s.note({ kind: 'resize', size: above })
        await s.byUs(write(100 * KIB, 700 - 188, 1), write(above - 5, 5, 2), zero(50 * KIB, 1000))
        await s.verify()
        await s.byUs({ kind: 'resize', size: 350 * KIB }, write(250 * KIB, 10, 3))
        await s.verify()
      })
    }
  })
})
