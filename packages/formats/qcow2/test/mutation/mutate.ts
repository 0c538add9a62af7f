import type { SeededRandom } from '@blockloom/oracle'
import { viewOf } from '../../src/on-disk/integers.ts'
import type { Region } from './regions.ts'

const INTERESTING_32 = [0, 1, 2, 3, 6, 7, 8, 9, 15, 16, 20, 21, 22, 31, 32, 63, 64, 104, 511, 512, 1023, 1024, 65535, 65536, 0x400000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff]
const INTERESTING_64 = [0n, 1n, 2n, 511n, 512n, 65536n, 2n ** 31n, 2n ** 32n, 2n ** 52n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 55n, 2n ** 56n - 512n, 2n ** 56n, 2n ** 61n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]
const FLAGS = [0n, 0n, 1n, 2n ** 62n, 2n ** 63n, 2n ** 63n + 1n]

/** A damaged copy of an image: one to four changes, mostly in its metadata. */
export function mutate(random: SeededRandom, original: Uint8Array, regions: readonly Region[], clusterSize: number): Uint8Array {
  const bytes = original.slice()
  let length = bytes.length
  const view = viewOf(bytes)
  for (let changes = random.pick([1, 1, 1, 2, 3, 4]); changes > 0; changes--) {
    const region = random.pick(regions)
    const at = random.chance(0.95) ? region.offset + random.below(region.bytes) : random.below(bytes.length)
    const field32 = Math.max(0, Math.min(at - (at % 4), bytes.length - 4))
    const field64 = Math.max(0, Math.min(at - (at % 8), bytes.length - 8))
    switch (random.below(12)) {
      case 0:
      case 1:
        bytes[at]! ^= 2 ** random.below(8)
        break
      case 2:
        bytes[at] = random.below(256)
        break
      case 3:
      case 4:
        view.setUint32(field32, random.pick(INTERESTING_32))
        break
      case 5:
        view.setBigUint64(field64, random.pick(INTERESTING_64))
        break
      case 6:
      case 7:
        view.setBigUint64(field64, pointer(random, regions, bytes.length, clusterSize))
        break
      case 8: {
        // An entry of one table in another.
        const other = random.pick(regions)
        const from = other.offset + random.below(other.bytes)
        bytes.copyWithin(field64, from - (from % 8), from - (from % 8) + 8)
        break
      }
      case 9: {
        const from = random.below(Math.ceil(bytes.length / clusterSize)) * clusterSize
        const to = at - (at % clusterSize)
        const swapped = bytes.slice(from, from + clusterSize)
        bytes.copyWithin(from, to, Math.min(to + clusterSize, to + bytes.length - from))
        bytes.set(swapped.subarray(0, bytes.length - to), to)
        break
      }
      case 10:
        bytes.fill(random.pick([0, 0xff, random.below(256)]), at, at + random.pick([8, 64, 512]))
        break
      case 11:
        if (random.chance(0.5)) length = random.pick([at, at - (at % 512), at - (at % clusterSize), random.below(bytes.length)])
        else bytes.set(random.bytes(16).subarray(0, bytes.length - at), at)
        break
    }
  }
  return length === bytes.length ? bytes : bytes.subarray(0, length)
}

/** An offset that leads to some structure, near the end of the file, or far behind it, with flags. */
function pointer(random: SeededRandom, regions: readonly Region[], length: number, clusterSize: number): bigint {
  const target = random.pick([random.pick(regions).offset, random.below(Math.ceil(length / clusterSize)) * clusterSize, Math.ceil(length / clusterSize) * clusterSize, clusterSize * 2 ** 24])
  return (BigInt(target) + random.pick([0n, 0n, 0n, 1n, 512n])) | random.pick(FLAGS)
}
