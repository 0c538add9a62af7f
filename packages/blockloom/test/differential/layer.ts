import type { SeededRandom } from '@blockloom/oracle'

/** One image of a backing chain. */
export interface Layer {
  readonly format: 'qcow2' | 'raw'
  readonly version: 2 | 3
  readonly clusterSize: number
  readonly refcountBits: number
  readonly extendedL2: boolean
  readonly compression: 'zlib' | 'zstd'
  readonly dataFile: 'none' | 'separate' | 'raw'
  readonly lazyRefcounts: boolean
  readonly encryption: 'none' | 'aes' | 'luks'
  readonly preallocation: 'off' | 'metadata' | 'falloc' | 'full'
  /** Virtual size in bytes, a multiple of 512 and often not of a cluster. */
  readonly size: number
}

const KIB = 1024
const MIB = KIB * KIB

const CLUSTER_BITS = [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21] as const

/** A random image; `index` walks through the cluster sizes, so that none is left out. */
export function randomLayer(random: SeededRandom, index: number, below: Layer | null, mayBeRaw: boolean, mayBeEncrypted = false): Layer {
  const clusterSize = 2 ** CLUSTER_BITS[index % CLUSTER_BITS.length]!
  const version = random.chance(0.25) ? 2 : 3
  const v3 = version === 3
  const extendedL2 = v3 && clusterSize >= 16 * KIB && random.chance(0.4)
  const dataFile = v3 && random.chance(0.2) ? (below === null && random.chance(0.5) ? 'raw' : 'separate') : 'none'
  const format = mayBeRaw && random.chance(0.15) ? 'raw' : 'qcow2'
  const encryption = mayBeEncrypted && format === 'qcow2' && dataFile === 'none' && random.chance(0.15) ? random.pick(['aes', 'luks'] as const) : 'none'
  return {
    format,
    version,
    clusterSize,
    refcountBits: v3 ? random.pick([1, 2, 4, 8, 16, 16, 32, 64]) : 16,
    extendedL2,
    compression: v3 && random.chance(0.5) ? 'zstd' : 'zlib',
    dataFile,
    lazyRefcounts: v3 && random.chance(0.2),
    encryption,
    preallocation: encryption === 'none' && (below === null || extendedL2) && random.chance(0.15) ? random.pick(['metadata', 'falloc', 'full']) : 'off',
    size: randomSize(random, clusterSize, below),
  }
}

/** Small images of many clusters, large ones of few. */
function randomSize(random: SeededRandom, clusterSize: number, below: Layer | null): number {
  if (below !== null && random.chance(0.6)) return below.size
  const clusters = clusterSize <= 8 * KIB ? 64 + random.below(300) : 5 + random.below(16)
  const whole = Math.min(Math.max(2 * MIB, 5 * clusterSize), Math.max(64 * KIB, clusters * clusterSize))
  return random.chance(0.4) ? whole : whole - 512 * random.below(clusterSize / 512)
}

/** The secret of encrypted layers, and its id. */
export const SECRET = 'sesame'
export const SECRET_ID = 'key'

/** Creation options by the names of `qemu-img create -o`. */
export function creationOptions(layer: Layer, dataFile: string): Record<string, string> {
  if (layer.format === 'raw') return {}
  return {
    compat: layer.version === 2 ? '0.10' : '1.1',
    cluster_size: String(layer.clusterSize),
    ...(layer.preallocation === 'off' ? {} : { preallocation: layer.preallocation }),
    ...(layer.version === 2
      ? {}
      : {
          refcount_bits: String(layer.refcountBits),
          extended_l2: layer.extendedL2 ? 'on' : 'off',
          compression_type: layer.compression,
          lazy_refcounts: layer.lazyRefcounts ? 'on' : 'off',
        }),
    // It takes no time to open.
    ...(layer.encryption === 'none' ? {} : { 'encrypt.format': layer.encryption, 'encrypt.key-secret': SECRET_ID }),
    ...(layer.encryption === 'luks' ? { 'encrypt.iter-time': '10' } : {}),
    ...(layer.dataFile === 'none' ? {} : { data_file: dataFile }),
    ...(layer.dataFile === 'raw' ? { data_file_raw: 'on' } : {}),
  }
}
