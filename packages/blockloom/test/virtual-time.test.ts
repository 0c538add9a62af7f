import { createGraph } from '@blockloom/block-core'
import { defineFilter, type ChildHandle } from '@blockloom/block-driver'
import { createRandom, createVirtualContext, type VirtualContext } from '@blockloom/coroutine-scheduler'
import { qcow2 } from '@blockloom/format-qcow2'
import { createMemoryDisk, memoryDriver } from '@blockloom/protocol-memory'
import { nullCo } from '@blockloom/protocol-null'
import { raw } from '@blockloom/format-raw'
import { expect, test } from 'vitest'

/** A disk that takes between 0 and 5 ms for everything, and writes down what reached it when. */
function slow(context: VirtualContext, seed: number, log: string[]) {
  const random = createRandom(seed)
  return defineFilter({
    name: 'slow',
    summary: 'waits',
    options: {},
    open: async (open, next: ChildHandle) => {
      const wait = async (what: string): Promise<void> => {
        await open.clock.sleep(random.float() * 5)
        log.push(`${context.now().toFixed(3)} ${what}`)
      }
      return {
        read: async (offset, into, flags) => { await wait(`read ${offset}+${into.length}`); await next.read(offset, into, flags) },
        writer: {
          write: async (offset, from, flags) => { await wait(`write ${offset}+${from.length}`); await next.write(offset, from, flags) },
          flush: async (scope) => { await wait('flush'); await next.flush(scope) },
        },
        close: async () => {},
      }
    },
  })
}

/** Sixteen writers on one qcow2 image, in virtual time; returns everything that reached the disk, and the content. */
async function workload(seed: number): Promise<{ log: string[]; content: string; virtualMs: number }> {
  const context = createVirtualContext({ seed })
  const log: string[] = []
  const disks = new Map([['d', createMemoryDisk({ size: 0 })]])
  const graph = createGraph({ drivers: [qcow2, memoryDriver(disks), slow(context, seed, log)], clock: context })
  const content = new Uint8Array(1 << 20)
  await context.run(async () => {
    await graph.create({ format: 'qcow2', filename: 'memory:d', options: { size: content.length, cluster_size: 4096 } })
    const disk = await graph.open({ driver: 'qcow2', file: { driver: 'slow', file: { driver: 'memory', name: 'd' } } })
    const writers = Array.from({ length: 16 }, (_, writer) =>
      context.spawn(`writer ${writer}`, async () => {
        const random = createRandom(seed * 16 + writer)
        for (let i = 0; i < 8; i++) {
          const offset = random.below(255) * 4096 + writer * 256
          await disk.write(offset, new Uint8Array(256).fill(writer + 1))
          await context.sleep(random.float() * 3)
        }
      }),
    )
    for (const writer of writers) await writer
    await disk.flush()
    await disk.read(0, content)
    await disk.close()
  })
  return { log, content: Buffer.from(content).toString('base64'), virtualMs: context.now() }
}

test('a whole stack runs deterministically: the seed decides every order', async () => {
  const first = await workload(1)
  const again = await workload(1)
  const other = await workload(2)
  expect(again).toEqual(first)
  expect(other.log).not.toEqual(first.log)
  expect(first.virtualMs).toBeGreaterThan(10)
  expect(first.log.some((line) => line.endsWith('flush'))).toBe(true)
})

test('latency costs virtual time, not real time; parallel requests share it', async () => {
  const context = createVirtualContext({ seed: 1 })
  const graph = createGraph({ drivers: [raw, nullCo], clock: context })
  await context.run(async () => {
    const disk = await graph.open({ driver: 'raw', file: { driver: 'null-co', size: 1 << 30, 'latency-ns': 60e9 } })
    const started = context.now()
    for (let i = 0; i < 10; i++) await disk.read(0, new Uint8Array(512))
    expect(context.now() - started).toBeCloseTo(600_000)
    await Promise.all(Array.from({ length: 64 }, () => disk.read(0, new Uint8Array(512))))
    expect(context.now() - started).toBeCloseTo(660_000)
    await disk.close()
  })
})
