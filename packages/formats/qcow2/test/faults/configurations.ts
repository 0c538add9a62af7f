const KIB = 1024

/** An image for a workload. */
export interface Configuration {
  /** As in `qemu-img create -o`. */
  readonly options: string
  readonly clusterSize: number
  /** Virtual size in bytes. */
  readonly size: number
  /** Options of opening it. */
  readonly image?: Readonly<Record<string, unknown>>
  readonly backing?: boolean
  readonly dataFile?: boolean
  readonly snapshots?: boolean
  /** Nothing is compressed: references to shared clusters would not fit the refcounts. */
  readonly plain?: boolean
  /** Bytes of VM state in a snapshot that stays: the refcount table is nearly full, and grows. */
  readonly ballast?: number
}

const SMALLEST_CACHES = { 'l2-cache-size': 0, 'refcount-cache-size': 0, 'l2-cache-entry-size': 512 }
const DISCARDS = { 'pass-discard-other': true }

/** Every layout that the format has, small enough that a workload takes a few dozen requests. */
export const configurations: readonly Configuration[] = [
  { options: 'cluster_size=4k', clusterSize: 4 * KIB, size: 120 * KIB, snapshots: true },
  { options: 'cluster_size=512', clusterSize: 512, size: 70 * KIB, snapshots: true },
  { options: 'cluster_size=64k', clusterSize: 64 * KIB, size: 448 * KIB },
  { options: 'cluster_size=16k,extended_l2=on', clusterSize: 16 * KIB, size: 224 * KIB, snapshots: true },
  { options: 'cluster_size=4k,compat=0.10', clusterSize: 4 * KIB, size: 120 * KIB, snapshots: true },
  { options: 'cluster_size=1k,refcount_bits=1', clusterSize: KIB, size: 80 * KIB, image: DISCARDS },
  { options: 'cluster_size=8k', clusterSize: 8 * KIB, size: 200 * KIB, backing: true, snapshots: true },
  { options: 'cluster_size=512,refcount_bits=64', clusterSize: 512, size: 60 * KIB, snapshots: true, image: SMALLEST_CACHES },
  { options: 'cluster_size=4k,data_file=data', clusterSize: 4 * KIB, size: 120 * KIB, dataFile: true },
  { options: 'cluster_size=16k,extended_l2=on,compression_type=zstd', clusterSize: 16 * KIB, size: 224 * KIB, backing: true },
  { options: 'cluster_size=2k,refcount_bits=4', clusterSize: 2 * KIB, size: 100 * KIB, snapshots: true, plain: true, image: SMALLEST_CACHES },
  { options: 'cluster_size=4k,data_file=data,data_file_raw=on', clusterSize: 4 * KIB, size: 120 * KIB, dataFile: true },
  { options: 'cluster_size=4k,compression_type=zstd,refcount_bits=32,lazy_refcounts=on', clusterSize: 4 * KIB, size: 120 * KIB, image: DISCARDS, snapshots: true },
  { options: 'cluster_size=2k,compat=0.10', clusterSize: 2 * KIB, size: 90 * KIB, backing: true },
  { options: 'cluster_size=32k,extended_l2=on,data_file=data', clusterSize: 32 * KIB, size: 288 * KIB, dataFile: true, backing: true },
  { options: 'cluster_size=512,refcount_bits=64', clusterSize: 512, size: 60 * KIB, snapshots: true, ballast: 1968 * KIB },
  { options: 'cluster_size=512,refcount_bits=8', clusterSize: 512, size: 60 * KIB, backing: true, image: { ...SMALLEST_CACHES, ...DISCARDS } },
]
