import type { Instance } from '@blockloom/block-driver'
import type { Random } from '../harness/random.ts'
import { removeSnapshot, resizeTo, revertTo, takeSnapshot } from './acts.ts'
import { features } from './feature-scenarios.ts'
import type { Act, View } from './history.ts'
import type { Scenario } from './scenario.ts'

const KIB = 1024
const SMALLEST_CACHES = { 'l2-cache-size': 0, 'refcount-cache-size': 0, 'l2-cache-entry-size': 512 }

/** Takes, reverts to and removes snapshots; at most three. */
function snapshots(random: Random, { snapshots: taken }: View, round: number): Act<Instance> {
  const names = [...taken.keys()]
  const kind = names.length === 0 ? 0 : random.below(names.length < 3 ? 4 : 2)
  if (kind !== 1 && kind !== 2) return takeSnapshot(`s${round}`, random.chance(0.3) ? 5000 : 0)
  return (kind === 1 ? revertTo : removeSnapshot)(random.pick(names))
}

/** Snapshots without VM state, and room for few. */
function fewSnapshots(random: Random, { snapshots: taken }: View, round: number): Act<Instance> {
  const names = [...taken.keys()]
  if (names.length === 0) return takeSnapshot(`s${round}`)
  return random.chance(0.4) ? revertTo(names[0]!) : removeSnapshot(names[0]!)
}

/** Grows with and without preallocation, shrinks, and grows over what was cut off. */
function resizes(least: number, most: number) {
  return (random: Random, { bytes: { length } }: View): Act<Instance> => {
    const grows = length < most && (length <= least || random.chance(0.55))
    const by = 512 * (1 + random.below((most - least) / 1024))
    return grows ? resizeTo(Math.min(most, length + by), random.pick(['off', 'off', 'metadata', 'falloc', 'full'])) : resizeTo(Math.max(least, length - by))
  }
}

/** Snapshots of several sizes. */
function snapshotsAndResizes(random: Random, view: View, round: number): Act<Instance> {
  return random.chance(0.5) ? snapshots(random, view, round) : resizes(100 * KIB, 260 * KIB)(random, view)
}

/** What a guest does, and how the image is made. */
const guests: readonly Scenario[] = [
  { title: 'the smallest caches, 4k clusters', options: 'cluster_size=4k', size: 512 * KIB, image: SMALLEST_CACHES },
  { title: '512-byte clusters in used space, 64-bit refcounts', options: 'cluster_size=512,refcount_bits=64', size: 300 * KIB, garbage: true },
  { title: 'a backing file, in used space', options: 'cluster_size=8k', size: 400 * KIB, backing: true, garbage: true },
  { title: 'extended L2 and a backing file, in used space', options: 'extended_l2=on,cluster_size=16k', size: 500 * KIB, backing: true, garbage: true },
  { title: 'a data file', options: 'cluster_size=4k', size: 400 * KIB, dataFile: true },
  { title: 'a raw data file', options: 'cluster_size=4k,data_file_raw=on', size: 400 * KIB, dataFile: true },
  { title: 'freed space is used again, and discarded in the file', options: 'cluster_size=2k', size: 90 * KIB, image: { 'pass-discard-other': true }, rounds: 20 },
  { title: '2-bit refcounts, freed space is used again', options: 'cluster_size=1k,refcount_bits=2', size: 40 * KIB, image: { 'pass-discard-other': true }, rounds: 20 },
  { title: '8-bit refcounts, compressed', options: 'cluster_size=4k,refcount_bits=8', size: 200 * KIB, rounds: 20 },
  {
    title: 'the refcount table grows',
    options: 'cluster_size=512,refcount_bits=64',
    size: 200 * KIB,
    before: (image) => image.snapshots!.create!({ name: 'ballast', vmState: new Uint8Array(1800 * KIB).fill(1) }),
  },
]

const changes: readonly Scenario[] = [
  { title: 'snapshots, 512-byte clusters, 64-bit refcounts', options: 'cluster_size=512,refcount_bits=64', size: 120 * KIB, next: snapshots },
  { title: 'snapshots, 4k clusters, in used space', options: 'cluster_size=4k', size: 256 * KIB, next: snapshots, garbage: true },
  { title: 'snapshots, version 2', options: 'compat=0.10,cluster_size=4k', size: 256 * KIB, next: snapshots },
  { title: 'snapshots, extended L2, a backing file', options: 'extended_l2=on,cluster_size=16k', size: 400 * KIB, next: snapshots, backing: true },
  { title: 'snapshots, 2-bit refcounts, the smallest caches', options: 'cluster_size=1k,refcount_bits=2', size: 100 * KIB, next: fewSnapshots, image: SMALLEST_CACHES, plain: true },
  { title: 'snapshots of several sizes, zstd', options: 'cluster_size=4k,compression_type=zstd', size: 200 * KIB, next: snapshotsAndResizes },
  { title: 'resizing, 512-byte clusters', options: 'cluster_size=512', size: 60 * KIB, next: resizes(30 * KIB, 300 * KIB) },
  { title: 'resizing, a backing file', options: 'cluster_size=4k', size: 300 * KIB, backing: true, next: resizes(64 * KIB, 500 * KIB) },
  { title: 'resizing, version 2, a backing file', options: 'cluster_size=4k,compat=0.10', size: 300 * KIB, backing: true, next: resizes(64 * KIB, 500 * KIB) },
  { title: 'resizing, extended L2, in used space', options: 'cluster_size=16k,extended_l2=on', size: 300 * KIB, garbage: true, next: resizes(64 * KIB, 700 * KIB) },
  { title: 'resizing, a raw data file', options: 'cluster_size=4k,data_file_raw=on', size: 200 * KIB, dataFile: true, next: resizes(64 * KIB, 500 * KIB) },
  {
    title: 'the refcount table grows for snapshots',
    options: 'cluster_size=512,refcount_bits=64',
    size: 60 * KIB,
    before: (image) => image.snapshots!.create!({ name: 'ballast', vmState: new Uint8Array(1930 * KIB).fill(1) }),
    next: (random, view, round) => (view.snapshots.size < 5 ? takeSnapshot(`s${round}`, 3000) : removeSnapshot([...view.snapshots.keys()][1 + random.below(3)]!)),
  },
]

/** All scenarios of a file of tests, and how many crash points each of them gets. */
export const suites = {
  guests: { points: 125, scenarios: guests },
  changes: { points: 125, scenarios: changes },
  features: { points: 100, scenarios: features },
} as const
