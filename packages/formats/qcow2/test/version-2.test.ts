import { afterAll, describe, expect, it } from 'vitest'
import { MemoryChild } from './harness/memory-child.ts'
import { openQcow2, readAll } from './harness/open.ts'
import { haveReference, Reference } from './harness/reference.ts'

const CLUSTER = 64 * 1024
const SIZE = 16 * CLUSTER

describe.runIf(haveReference)('version 2', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  it.each([0, 1])('without a backing file: zeroes free the clusters, which are used again (flags %i)', async (flags) => {
    tools.create('plain.qcow2', String(SIZE), 'compat=0.10')
    tools.io('plain.qcow2', 'write -c -P 2 0 64k', 'write -P 1 64k 960k')
    const file = tools.load('plain.qcow2')
    const before = file.content.length
    const image = await openQcow2({ file })
    expect(await image.zero!(0, 12 * CLUSTER, flags)).toBe('done')
    expect(await image.extents!(0, SIZE)).toMatchObject({ kind: 'absent', bytes: 12 * CLUSTER })
    await image.close()
    const again = await openQcow2({ file })
    await again.writer!.write(0, new Uint8Array(8 * CLUSTER).fill(3), 0)
    await again.close()
    expect(file.content.length, 'what was freed is there for others').toBe(before)

    tools.save('plain.qcow2', file)
    tools.check('plain.qcow2')
    const expected = new Uint8Array(SIZE).fill(1).fill(0, 8 * CLUSTER, 12 * CLUSTER).fill(3, 0, 8 * CLUSTER)
    expect(Buffer.compare(tools.raw('plain.qcow2'), expected)).toBe(0)
  })

  it('without a backing file, with a snapshot: the snapshot keeps the old contents', async () => {
    tools.create('snapshot.qcow2', String(SIZE), 'compat=0.10')
    tools.io('snapshot.qcow2', 'write -P 1 0 1M')
    tools.img('snapshot', '-c', 'old', 'snapshot.qcow2')
    const file = tools.load('snapshot.qcow2')
    const image = await openQcow2({ file })
    expect(await image.zero!(CLUSTER, 3 * CLUSTER, 0)).toBe('done')
    expect(Buffer.compare(await readAll(image, CLUSTER), new Uint8Array(SIZE).fill(1).fill(0, CLUSTER, 4 * CLUSTER))).toBe(0)
    await image.close()
    tools.save('snapshot.qcow2', file)
    tools.check('snapshot.qcow2')
    tools.img('snapshot', '-a', 'old', 'snapshot.qcow2')
    expect(Buffer.compare(tools.raw('snapshot.qcow2'), new Uint8Array(SIZE).fill(1))).toBe(0)
  })

  it('with a backing file, also one that is only named: zeroes have to be written', async () => {
    tools.create('base.qcow2', String(SIZE))
    tools.create('backed.qcow2', String(SIZE), 'compat=0.10', ['-b', 'base.qcow2', '-F', 'qcow2'])
    for (const backing of [{ backing: new MemoryChild({ content: new Uint8Array(SIZE).fill(7) }) }, {}]) {
      const image = await openQcow2({ file: tools.load('backed.qcow2'), ...backing })
      expect(await image.zero!(0, 4 * CLUSTER, 0)).toBe('unsupported')
      expect(await image.discard!(0, 4 * CLUSTER)).toBe('unsupported')
      await image.close()
    }
  })
})
