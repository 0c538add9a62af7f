import { isBlockError, type Instance } from '@blockloom/block-driver'
import { spawnSync } from 'node:child_process'
import { afterAll, describe, expect, it } from 'vitest'
import { MemoryChild } from './harness/memory-child.ts'
import { openQcow2, readAll } from './harness/open.ts'
import { haveReference, Reference } from './harness/reference.ts'

const SIZE = 256 * 1024

describe.runIf(haveReference)('when a request fails during a snapshot operation', () => {
  const tools = new Reference()
  afterAll(() => tools[Symbol.dispose]())

  const operations: Readonly<Record<string, (image: Instance) => Promise<unknown>>> = {
    create: (image) => image.snapshots!.create!({ name: 'new', vmState: new Uint8Array(9000).fill(9) }),
    revert: (image) => image.snapshots!.revert!('first'),
    remove: (image) => image.snapshots!.remove!('first'),
  }
  const layouts = ['cluster_size=4k', 'cluster_size=512,refcount_bits=64', 'extended_l2=on,cluster_size=16k']
  for (const [index, options] of layouts.entries()) {
    for (const [what, operation] of Object.entries(operations)) {
      it(`${what} does nothing or all, and works later (${options})`, { timeout: 30_000 }, async () => {
        const name = `${what}-${index}.qcow2`
        tools.create(name, String(SIZE), options)
        tools.io(name, 'write -P 1 0 100k', 'write -z 40k 16k', `write -c -P 3 ${128 * 1024} ${options.includes('16k') ? 16384 : options.includes('4k') ? 4096 : 512}`)
        tools.img('snapshot', '-c', 'first', name)
        const first = tools.raw(name)
        tools.io(name, 'write -P 4 20k 50k')
        const second = tools.raw(name)
        tools.img('snapshot', '-c', 'second', name)
        tools.io(name, 'write -P 5 30k 80k')
        const before = tools.raw(name)
        const base = tools.load(name).content
        const after = what === 'revert' ? first : before
        let failures = 0
        let total = Infinity
        for (let fault = 0; fault < total; fault++) {
          const where = `${what}, request ${fault}`
          const file = new MemoryChild({ content: base })
          const image = await openQcow2({ file })
          let count = 0
          file.before = (op) => {
            if (count++ === fault) throw new Error(`${op} failed`)
          }
          const outcome = await operation(image).then(
            () => 'done' as const,
            (error: unknown) => error,
          )
          file.before = undefined
          if (count <= fault) total = fault
          if (outcome !== 'done') {
            failures++
            expect(String(outcome), where).toContain('failed')
            expect(Buffer.compare(await readAll(image), before), where).toBe(0)
            expect(image.snapshots!.list().map((each) => each.name), where).toEqual(['first', 'second'])
            // Space that was taken in vain can be used again; requests go on.
            await image.writer!.write(0, new Uint8Array(3000).fill(1), 0)
            await operation(image)
          }
          expect(Buffer.compare(await readAll(image), after), where).toBe(0)
          expect(Buffer.compare(await readAll(await image.snapshots!.openReadOnly('second')), second), where).toBe(0)
          await image.close()
          if (fault % 12 !== 0 && fault !== total) continue
          tools.save(name, file)
          const { status, stdout, stderr } = spawnSync('qemu-img', ['check', '-f', 'qcow2', tools.path(name)], { encoding: 'utf8' })
          if (status !== 0 && status !== 3) expect.fail(`${where}: ${stdout}${stderr}`)
        }
        expect(failures).toBeGreaterThan(5)
      })
    }
  }

  it('nothing is changed any more if it is not known what the header says', async () => {
    tools.create('lost.qcow2', String(SIZE))
    tools.io('lost.qcow2', 'write -P 1 0 100k')
    const file = tools.load('lost.qcow2')
    const image = await openQcow2({ file })
    file.before = (op, offset) => {
      if (op === 'write' && offset < 512) throw new Error('header failed')
    }
    await expect(image.snapshots!.create!({ name: 'new' })).rejects.toThrow('header failed')
    file.before = undefined
    await expect(image.writer!.write(0, new Uint8Array(512), 0)).rejects.toSatisfy((error) => isBlockError(error, 'io'))
    await image.close()
    tools.save('lost.qcow2', file)
    expect(spawnSync('qemu-img', ['check', '-f', 'qcow2', tools.path('lost.qcow2')]).status).toBe(3)
  })
})
