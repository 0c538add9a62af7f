import type { Habits } from './guest.ts'

const KIB = 1024

/** An image below a whole graph, and what its guest does. */
export interface StackScenario {
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

export const stackScenarios: Readonly<Record<string, StackScenario>> = {
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
  'clusters that stay allocated': { options: 'cluster_size=4k', size: 512 * KIB, before: SNAPSHOTS, image: { 'discard-no-unref': true } },
  'subclusters that stay allocated': { options: 'extended_l2=on,cluster_size=16k', size: 700 * KIB, image: { 'discard-no-unref': true } },
  'an external data file': { options: 'cluster_size=4k', size: 512 * KIB, dataFile: true },
}

/** Crash points of each scenario, and how many of them the reference looks at. */
export const STACK_POINTS = 100
export const REFERENCE_POINTS = 5
