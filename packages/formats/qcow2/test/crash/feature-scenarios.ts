import type { Instance } from '@blockloom/block-driver'
import type { Random } from '../harness/random.ts'
import { amend, bitmapFacts, makeEmpty, nameBacking, removeBitmap, resizeTo, storeBitmaps, takeSnapshot } from './acts.ts'
import type { Act, Facts, View } from './history.ts'
import { baseBytes, OTHER_BASE, type Scenario } from './scenario.ts'

const KIB = 1024

/** What amending changes. */
async function amendable(image: Instance): Promise<Facts> {
  const { 'format-specific': specific } = (await image.info!()) as { 'format-specific': { data: Record<string, unknown> } }
  const { compat, 'refcount-bits': bits, 'lazy-refcounts': lazy } = specific.data
  return { compat: String(compat), refcount_bits: String(bits), lazy_refcounts: String(lazy ?? false) }
}

function amends(random: Random): Act<Instance> {
  const kind = random.below(6)
  if (kind === 0) return amend({ compat: '0.10', refcount_bits: 16, lazy_refcounts: false }, { compat: '0.10', refcount_bits: '16', lazy_refcounts: 'false' })
  const lazy = random.chance(0.5)
  const bits = random.pick([8, 16, 32, 64])
  return amend({ compat: '1.1', refcount_bits: bits, lazy_refcounts: lazy }, { compat: '1.1', refcount_bits: String(bits), lazy_refcounts: String(lazy) })
}

const backing = (image: Instance): Facts => ({ backing: image.backing!.named?.filename ?? '' })

function emptiesOrSnapshots(below: Uint8Array) {
  return (random: Random, { snapshots }: View, round: number): Act<Instance> | null => {
    if (random.chance(0.3)) return null
    return snapshots.size === 0 && random.chance(0.2) ? takeSnapshot(`s${round}`) : makeEmpty(below)
  }
}

function bitmaps(granularity: number) {
  return (random: Random, { bytes, facts }: View): Act<Instance> => {
    const names = Object.keys(facts).flatMap((fact) => (fact.startsWith('bitmap ') ? [fact.slice('bitmap '.length)] : []))
    if (names.length > 1 && random.chance(0.4)) return removeBitmap(random.pick(names))
    const length = Math.ceil(Math.ceil(bytes.length / granularity) / 8)
    const one = (): Uint8Array => {
      const bits = Uint8Array.from({ length }, () => (random.chance(0.5) ? 0 : random.below(256)))
      // There are no bits behind the end of the disk.
      const rest = Math.ceil(bytes.length / granularity) % 8
      if (rest !== 0) bits[length - 1]! &= 2 ** rest - 1
      return bits
    }
    return storeBitmaps(random.chance(0.5) ? { one: one() } : { one: one(), two: one(), [`b${random.below(3)}`]: one() }, granularity)
  }
}

/** Refcounts that are too high. */
function leak(file: Uint8Array): void {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const table = Number(view.getBigUint64(48))
  const block = Number(view.getBigUint64(table))
  const cluster = 2 ** view.getUint32(20)
  const used = Math.ceil(file.length / cluster)
  for (let i = 1; i < used + 20; i += 7) view.setUint16(block + 2 * i, view.getUint16(block + 2 * i) === 0 || i >= used ? 1 : view.getUint16(block + 2 * i))
}

function repairs(random: Random, _view: View, round: number): Act<Instance> | null {
  if (round === 0 || random.chance(0.5)) return { what: 'repair', run: (image) => image.check!.check({ fix: round === 0 ? 'leaks' : 'errors' }), isFast: true }
  return null
}

const SECRETS = { secrets: { s: 'sesame' }, image: { 'encrypt.key-secret': 's' }, notForReference: true, plain: true } as const

function encryptedChanges(random: Random, { bytes: { length }, snapshots }: View, round: number): Act<Instance> {
  if (snapshots.size < 2 && random.chance(0.5)) return takeSnapshot(`s${round}`, random.chance(0.3) ? 3000 : 0)
  return length < 400 * KIB && random.chance(0.7) ? resizeTo(length + 512 * (1 + random.below(100)), random.pick(['off', 'metadata', 'full'])) : resizeTo(100 * KIB)
}

/** The features that have verbs of their own. */
export const features: readonly Scenario[] = [
  { title: 'amending version and refcounts, 4k clusters', options: 'cluster_size=4k', size: 200 * KIB, next: amends, facts: amendable, mends: true },
  { title: 'amending version and refcounts, 512-byte clusters, a snapshot', options: 'cluster_size=512', size: 80 * KIB, next: amends, facts: amendable, mends: true, before: (image) => image.snapshots!.create!({ name: 'old' }) },
  {
    title: 'naming another backing file',
    options: 'cluster_size=4k',
    size: 200 * KIB,
    backing: true,
    facts: backing,
    next: (random) => nameBacking({ filename: random.pick(['base', OTHER_BASE]), format: 'raw' }),
  },
  { title: 'emptying it', options: 'cluster_size=4k', size: 200 * KIB, next: emptiesOrSnapshots(new Uint8Array(0)) },
  { title: 'emptying it, 512-byte clusters, a backing file', options: 'cluster_size=512', size: 70 * KIB, backing: true, next: emptiesOrSnapshots(baseBytes(70 * KIB)) },
  { title: 'storing bitmaps, 4k clusters', options: 'cluster_size=4k', size: 200 * KIB, next: bitmaps(4 * KIB), facts: bitmapFacts },
  { title: 'storing bitmaps, 512-byte clusters, 64-bit refcounts', options: 'cluster_size=512,refcount_bits=64', size: 100 * KIB, next: bitmaps(512), facts: bitmapFacts },
  { title: 'repairing leaks', options: 'cluster_size=4k', size: 200 * KIB, damage: leak, next: repairs },
  { title: 'encrypted with AES, snapshots and sizes', options: 'cluster_size=4k,encrypt.format=aes,encrypt.key-secret=s', size: 200 * KIB, next: encryptedChanges, ...SECRETS },
  { title: 'encrypted with LUKS, snapshots and sizes', options: 'cluster_size=16k,extended_l2=on,encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0', size: 300 * KIB, next: encryptedChanges, ...SECRETS, points: 25 },
  { title: 'lazy refcounts', options: 'cluster_size=4k,lazy_refcounts=on', size: 300 * KIB, mends: true, next: (random, _view, round) => (random.chance(0.4) ? takeSnapshot(`s${round}`) : null) },
  { title: 'discarded clusters stay allocated', options: 'cluster_size=4k', size: 200 * KIB, image: { 'discard-no-unref': true } },
]
