import { isBlockError } from '@blockloom/block-driver'
import { afterAll, describe, expect, it } from 'vitest'
import { openQcow2, readAll } from '../harness/open.ts'
import { haveReference, Reference } from '../harness/reference.ts'
import { crashEverywhere, failEverywhere, withoutBacking } from './power-loss.ts'

const SIZE = 128 * 1024

describe.runIf(haveReference)('changing the name of the backing file', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  const info = (name: string): Record<string, unknown> => JSON.parse(tools.img('info', '--output=json', withoutBacking(tools.path(name)))) as Record<string, unknown>

  for (const options of ['compat=0.10', 'compat=1.1', 'cluster_size=512', 'cluster_size=4k,compat=0.10', 'extended_l2=on,cluster_size=16k']) {
    it(`says what the reference would say (${options})`, async () => {
      tools.create('image.qcow2', String(SIZE), options)
      tools.io('image.qcow2', 'write -P 1 0 20k')
      tools.img('snapshot', '-c', 'one', 'image.qcow2')
      const file = tools.load('image.qcow2')
      const image = await openQcow2({ file })
      const content = await readAll(image)
      for (const to of [{ filename: 'base.raw', format: 'raw' }, { filename: 'x'.repeat(options.includes('512') ? 130 : 1023), format: 'qcow2' }, { filename: 'ünïcode' }, null, { filename: 'b', format: 'qcow2' }]) {
        await image.backing!.change!(to)
        expect(image.backing!.named).toEqual(to)
        expect(image.zeroInit).toBe(to === null)
        await image.writer!.flush('stable')
        tools.save('image.qcow2', file)
        tools.img('check', '-q', withoutBacking(tools.path('image.qcow2')))
        expect(info('image.qcow2')).toMatchObject(to === null ? { 'virtual-size': SIZE } : { 'backing-filename': to.filename })
        expect(info('image.qcow2')['backing-filename-format']).toBe(to?.format)
        expect(Buffer.compare(await readAll(image), content)).toBe(0)
      }
      await image.backing!.change!({ filename: '' })
      expect(image.backing!.named).toBeNull()
      await image.close()
    })
  }

  it('refuses what the reference refuses, and changes nothing', async () => {
    tools.create('small.qcow2', String(SIZE), 'cluster_size=512,backing_file=old,backing_fmt=raw', ['-u'])
    const file = tools.load('small.qcow2')
    const image = await openQcow2({ file, mode: { noBacking: true } })
    const before = file.content.slice()
    const refused = async (to: { filename: string; format?: string }, errno: string, words: string): Promise<void> => {
      const error: unknown = await image.backing!.change!(to).catch((reason: unknown) => reason)
      expect(isBlockError(error) && { errno: error.errno, message: error.message }).toEqual({ errno, message: words })
      expect(image.backing!.named).toEqual({ filename: 'old', format: 'raw' })
      expect(Buffer.compare(file.content, before)).toBe(0)
    }
    await refused({ filename: 'x'.repeat(1024) }, 'EINVAL', 'Backing file name too long')
    await refused({ filename: 'ä'.repeat(512) }, 'EINVAL', 'Backing file name too long')
    await refused({ filename: 'x', format: 'y'.repeat(16) }, 'EINVAL', 'Backing file format name too long')
    await refused({ filename: 'x'.repeat(500), format: 'raw' }, 'ENOSPC', 'The header and its extensions do not fit into a cluster')
    await image.close()

    tools.create('raw.qcow2', String(SIZE), `data_file=${tools.path('disk.raw')},data_file_raw=on`)
    const withData = await openQcow2({ file: tools.load('raw.qcow2'), dataFile: tools.load('disk.raw') })
    await expect(withData.backing!.change!({ filename: 'x', format: 'raw' })).rejects.toThrow('Backing file and data-file-raw cannot be used at the same time')
    await withData.backing!.change!(null)
    await withData.close()
    const readOnly = await openQcow2({ file: tools.load('small.qcow2'), mode: { readOnly: true, noBacking: true } })
    expect(readOnly.backing).not.toHaveProperty('change')
  })

  for (const options of ['compat=0.10', 'compat=1.1', 'cluster_size=1k', 'extended_l2=on,cluster_size=16k']) {
    const from = { filename: '/some/where/old base.img', format: 'raw' }
    const to = { filename: `/else/where/${'x'.repeat(90)}`, format: 'qcow2' }

    it(`a crash leaves the old name or the new one (${options})`, async () => {
      tools.create('crash.qcow2', String(SIZE), options)
      tools.io('crash.qcow2', 'write -P 1 0 20k')
      tools.img('rebase', '-u', '-b', from.filename, '-F', 'raw', 'crash.qcow2')
      for (const [old, next] of [[from, to], [from, null]] as const) {
        const points = await crashEverywhere(tools, {
          files: { file: tools.load('crash.qcow2').content },
          seed: 1,
          run: (image) => image.backing!.change!(next),
          judge: async (image, isDone) => {
            const named = JSON.stringify(image.backing!.named)
            if (named === JSON.stringify(next)) return null
            return named === JSON.stringify(old) && !isDone ? null : `named is ${named}`
          },
        })
        expect(points).toBeGreaterThan(8)
      }
    })

    it(`a failure leaves the old name (${options})`, async () => {
      tools.create('fault.qcow2', String(SIZE), `${options},backing_file=${from.filename},backing_fmt=raw`, ['-u'])
      const is = (named: unknown, expected: unknown): string | null => (JSON.stringify(named) === JSON.stringify(expected) ? null : `named is ${JSON.stringify(named)}`)
      const failures = await failEverywhere(tools, {
        files: { file: tools.load('fault.qcow2').content },
        run: (image) => image.backing!.change!(to),
        judgeFailed: async (image) => is(image.backing!.named, from),
        judge: async (image) => is(image.backing!.named, to),
      })
      expect(failures).toBeGreaterThan(2)
    })
  }
})
