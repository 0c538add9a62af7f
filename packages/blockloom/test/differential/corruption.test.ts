// Ways in which other qcow2 writers have destroyed images. Each one ends with a check and a look at the bytes: the check
// alone misses half of them.
import { oracleAvailable, SeededRandom } from '@blockloom/oracle'
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { assertSameBytes } from './compare.ts'
import { contentBytes } from './content.ts'
import type { Change } from './operations.ts'
import { applyChange } from './ours.ts'
import { BASE_SEED } from './sequences.ts'
import { compressed, discard, Scenario, write, zero } from './scenario.ts'

const KIB = 1024
const MIB = KIB * KIB

const CHANGES: readonly (readonly [string, (cluster: number) => Change[]])[] = [
  ['a byte of each cluster', (c) => Array.from({ length: 8 }, (_, i) => write(i * c + 7, 1, 1 + i))],
  ['whole clusters', (c) => [write(0, 3 * c, 77), write(5 * c, c, 'text')]],
  ['parts across clusters', (c) => [write(c - 100, 200, 'text'), write(3 * c - 1, 2 * c + 2, 3)]],
  ['zeroes', (c) => [zero(0, 2 * c), zero(3 * c + 10, 2 * c)]],
  ['zeroes that free', (c) => [zero(0, 2 * c, true), zero(3 * c + 10, 2 * c, true)]],
  ['discards', (c) => [discard(c, 3 * c), write(2 * c, 10, 9)]],
  ['compressed clusters', (c) => [compressed(c, 3 * c), write(2 * c + 1, 10, 9)]],
]

describe.runIf(oracleAvailable())('a table that a snapshot shares is not changed in place', () => {
  const SHAPES = [
    [512, 'cluster_size=512,refcount_bits=2'],
    [4 * KIB, 'cluster_size=4k,compat=0.10'],
    [64 * KIB, 'cluster_size=64k,refcount_bits=64'],
    [16 * KIB, 'cluster_size=16k,extended_l2=on,compression_type=zstd'],
  ] as const
  for (const [cluster, options] of SHAPES) {
    test.each(CHANGES)(`%s, ${options}`, async (_, changes) => {
      await Scenario.run(9 * cluster - 512, options, async (s) => {
        await s.byReference(write(0, 6 * cluster), compressed(6 * cluster, cluster))
        const before = s.expected.slice()
        await s.img('snapshot', '-q', '-c', 'before')
        await s.byUs(...changes(cluster))
        await s.verify()
        await s.verifySnapshot('before', before)

        // Back, and forth again: the tables that were shared are the active ones now.
        await s.img('snapshot', '-q', '-a', 'before')
        s.expected = before.slice()
        await s.byUs(...changes(cluster).toReversed())
        await s.verify()
        await s.verifySnapshot('before', before)
        await s.img('snapshot', '-q', '-d', 'before')
        await s.verify()
        await s.byUs(...changes(cluster), write(0, 5 * cluster, 'text'))
        await s.verify()
      })
    })
  }
})

describe.runIf(oracleAvailable())('a compressed cluster is not overwritten in place', () => {
  test.each(['zlib', 'zstd'])('%s: what shares its host cluster stays', async (type) => {
    const cluster = 16 * KIB
    await Scenario.run(32 * cluster, `cluster_size=${cluster},compression_type=${type}`, async (s) => {
      await s.byReference(compressed(0, 32 * cluster))
      // One byte in every other cluster, across borders, zeroes and discards: then the space that became free is used.
      for (let i = 0; i < 16; i += 2) await s.byUs(write(i * cluster + 3 * i, 1, 200))
      await s.verify()
      await s.byUs(write(17 * cluster - 1, 2, 201), zero(19 * cluster, cluster, true), discard(21 * cluster, 2 * cluster), zero(24 * cluster + 5, 100))
      await s.verify()
      await s.byUs(write(19 * cluster, 4 * cluster), compressed(26 * cluster, 2 * cluster), compressed(2 * cluster, cluster, 5))
      await s.verify()
    })
  })

  test('the reference compresses after us, and we after it', async () => {
    const cluster = 4 * KIB
    await Scenario.run(64 * cluster, `cluster_size=${cluster}`, async (s) => {
      for (let i = 0; i < 60; i += 6) {
        await s.byUs(compressed(i * cluster, 3 * cluster))
        await s.byReference(compressed((i + 3) * cluster, 3 * cluster))
      }
      await s.verify()
      await s.byUs(...Array.from({ length: 20 }, (_, i) => write(3 * i * cluster, cluster, 'noise')))
      await s.verify()
    })
  })
})

describe.runIf(oracleAvailable())('refcounts', () => {
  test('a refcount table with holes is no dense one', async () => {
    // A block covers 128 KiB of the file. What is written first lies before what is written second, and goes away with
    // its tables: the blocks in the middle count nothing any more, and the reference takes them out of the table.
    await Scenario.run(MIB, 'cluster_size=512', async (s) => {
      await s.byReference(write(512 * KIB, 512 * KIB), write(0, 256 * KIB), { kind: 'resize', size: 512 * KIB })
      expect(refcountTable(s.file).holes).toBeGreaterThan(0)
      await s.verify()
      await s.byUs(write(100 * KIB, 100 * KIB, 'text'), write(300 * KIB, 1, 4))
      await s.verify()
      await s.byUs(write(200 * KIB, 312 * KIB))
      await s.verify()
      await s.byUs({ kind: 'resize', size: 2 * MIB }, write(512 * KIB, MIB))
      await s.verify()
    })
  })

  test.each([1, 2, 4, 8, 16, 32, 64])('of %i bits: many blocks at once, and a table that grows', async (bits) => {
    await Scenario.run(6 * MIB, `cluster_size=512,refcount_bits=${bits}`, async (s) => {
      await s.byUs(write(0, 3 * MIB))
      await s.verify()
      await s.byUs(discard(MIB, MIB), write(3 * MIB + 1, 3 * MIB - 1, 'text'), write(MIB, 512 * KIB, 8))
      await s.verify()
    })
  })

  test.each([2, 8, 64])('of %i bits: shared clusters are counted', async (bits) => {
    await Scenario.run(256 * KIB, `cluster_size=4k,refcount_bits=${bits}`, async (s) => {
      await s.byUs(write(0, 256 * KIB))
      await s.img('snapshot', '-q', '-c', 'one')
      await s.byUs(write(0, 64 * KIB, 'text'))
      await s.img('snapshot', '-q', '-c', 'two')
      await s.byUs(write(32 * KIB, 64 * KIB, 7), discard(128 * KIB, 64 * KIB))
      await s.verify()
      await s.img('snapshot', '-q', '-d', 'one')
      await s.byUs(zero(0, 4 * KIB, true), write(200 * KIB, 10 * KIB, 1))
      await s.verify()
      await s.img('snapshot', '-q', '-d', 'two')
      await s.verify()
    })
  })
})

describe.runIf(oracleAvailable())('extended L2 entries are 16 bytes', () => {
  test('beyond the first table, at its borders, in subclusters', async () => {
    // 1024 entries a table: it covers 16 MiB.
    await Scenario.run(36 * MIB, 'cluster_size=16k,extended_l2=on', async (s) => {
      await s.byUs(...[8, 16, 32].flatMap((at) => [write(at * MIB - 700, 1400), write(at * MIB + 20 * KIB, 512, 4)]), write(36 * MIB - 1, 1, 6))
      await s.verify()
      await s.byReference(...[8, 16, 32].map((at) => write(at * MIB - 10 * KIB, 9 * KIB, 'text')))
      await s.byUs(...[8, 16, 32].map((at) => zero(at * MIB - 512, 1024)))
      await s.verify()
    })
  })

  test.each([16 * KIB, 64 * KIB, 2 * MIB])('a written subcluster leaves the others to the backing file, clusters of %i', async (cluster) => {
    const sub = cluster / 32
    await Scenario.run(6 * cluster, `cluster_size=${cluster},extended_l2=on`, async (s) => {
      await s.rebase('noise')
      await s.byUs(write(3 * sub, sub, 1), write(cluster + 5 * sub + 1, 1, 2), zero(2 * cluster + 7 * sub, 3 * sub), compressed(3 * cluster, cluster), write(3 * cluster + sub, 3, 9))
      await s.verify()
      await s.byReference(write(2 * cluster, 8 * sub, 4), zero(4 * cluster, 2 * sub), write(4 * cluster + sub, sub, 5))
      await s.byUs(write(4 * cluster + 1, 2, 6), discard(5 * cluster, cluster), write(5 * cluster + 9 * sub, 10, 3))
      await s.verify()
    })
  })
})

describe.runIf(oracleAvailable())('the zero flag is not ignored', () => {
  test.each([
    ['without a place', true],
    ['with a place', false],
  ])('%s: nothing old shows, neither read nor next to what is written', async (_, unmap) => {
    const cluster = 4 * KIB
    await Scenario.run(32 * cluster, `cluster_size=${cluster}`, async (s) => {
      await s.rebase('noise')
      await s.byReference(write(0, 16 * cluster, 'text'))
      await s.byReference(zero(2 * cluster, 8 * cluster, unmap), zero(20 * cluster, 8 * cluster, unmap))
      await s.verify()
      await s.byUs(write(2 * cluster + 100, 1, 1), write(5 * cluster - 1, 2, 2), write(22 * cluster + 9, cluster, 3))
      await s.verify()
      await s.byUs(zero(10 * cluster, 4 * cluster, unmap), write(11 * cluster + 1, 1, 7))
      await s.byReference(write(12 * cluster + 5, 5, 8), write(24 * cluster + 3, 3, 9))
      await s.verify()
    })
  })

  test('in version 2, which has none, zeroes over a backing file are data', async () => {
    await Scenario.run(256 * KIB, 'compat=0.10,cluster_size=4k', async (s) => {
      await s.rebase('noise')
      await s.byUs(zero(10 * KIB, 50 * KIB, true), zero(100 * KIB, 4 * KIB))
      await s.verify()
    })
  })
})

describe.runIf(oracleAvailable())('a freed cluster', () => {
  test.each([0, 1, 2])('is not discarded in the file after it has been used again (%i)', async (n) => {
    const cluster = 4 * KIB
    const clusters = 256
    await Scenario.run(clusters * cluster, `cluster_size=${cluster}`, async (s) => {
      const random = new SeededRandom(BASE_SEED + 3000 + n)
      await s.open(async (disk) => {
        for (let round = 0; round < 40; round++) {
          // Halves change places: one gives up clusters while the other asks for new ones.
          const order = Array.from({ length: clusters }, (_, i) => i).sort(() => random.next() - 0.5)
          const work = order.slice(0, 48).map(async (i, at) => {
            const offset = i * cluster
            if (at % 3 === 0) {
              await disk.discard(offset, cluster)
              s.note(discard(offset, cluster))
            } else {
              const byte = 1 + random.below(255)
              await disk.write(offset, contentBytes(byte, cluster))
              s.note(write(offset, cluster, byte))
            }
          })
          if (round % 5 === 0) work.push(disk.flush())
          await Promise.all(work)
        }
        assertSameBytes(await disk.read(0, disk.size), s.expected)
      })
      await s.verify()
    })
  })

  test.each([0, 1, 2])('is not filled up with compressed data once it is something else (%i)', async (n) => {
    // The reference does this: a compressed cluster is dropped, its host cluster becomes free and is used again, and the
    // next compressed cluster still goes behind the one that was dropped.
    const cluster = 4 * KIB
    const clusters = 256
    await Scenario.run(clusters * cluster, `cluster_size=${cluster}`, async (s) => {
      const random = new SeededRandom(BASE_SEED + 3100 + n)
      await s.open(async (disk) => {
        const change = async (one: Change): Promise<void> => {
          await applyChange(disk, one)
          s.note(one)
        }
        for (let round = 0; round < 60; round++) {
          const order = Array.from({ length: clusters }, (_, i) => i * cluster).sort(() => random.next() - 0.5)
          const place = (): number => order.pop()!
          const last = place()
          await change(compressed(last, cluster, random.below(256)))
          await disk.flush()
          const drop = async (): Promise<void> => {
            await change(random.chance(0.5) ? discard(last, cluster) : zero(last, cluster, true))
            await disk.flush()
          }
          const use = async (one: Change): Promise<void> => {
            // Spread over the time that freeing takes.
            for (let ticks = random.below(12); ticks > 0; ticks--) await setImmediate()
            await change(one)
          }
          // In order, and all at once.
          const inOrder = random.chance(0.5)
          const dropped = drop()
          if (inOrder) await dropped
          const others = Array.from({ length: 3 }, () => use(write(place(), cluster, 'noise')))
          if (inOrder) await Promise.all(others)
          const more = Array.from({ length: 3 }, () => use(compressed(place(), cluster, random.below(256))))
          await Promise.all([dropped, ...others, ...more])
        }
        assertSameBytes(await disk.read(0, disk.size), s.expected)
      })
      await s.verify()
    })
  })

  test('is used again: the file does not grow for ever', async () => {
    const cluster = 64 * KIB
    await Scenario.run(16 * cluster, `cluster_size=${cluster}`, async (s) => {
      await s.open(async (disk) => {
        for (let round = 0; round < 20; round++) {
          await disk.write(0, contentBytes('noise', 8 * cluster))
          await disk.discard(0, 8 * cluster)
          await disk.flush()
        }
        await disk.write(0, contentBytes('text', 8 * cluster))
      })
      s.note(write(0, 8 * cluster, 'text'))
      await s.verify()
      expect(readFileSync(s.file).length).toBeLessThan(28 * cluster)
    })
  })
})

/** Entries of the refcount table, and how many blocks are missing before the last one. */
function refcountTable(file: string): { readonly holes: number } {
  const bytes = readFileSync(file)
  const offset = Number(bytes.readBigUInt64BE(48))
  const entries = Array.from({ length: (bytes.readUInt32BE(56) * 2 ** bytes.readUInt32BE(20)) / 8 }, (_, i) => bytes.readBigUInt64BE(offset + 8 * i))
  const last = entries.findLastIndex((entry) => entry !== 0n)
  return { holes: entries.slice(0, last).filter((entry) => entry === 0n).length }
}
