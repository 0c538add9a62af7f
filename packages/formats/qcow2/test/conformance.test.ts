import { describe, it } from 'vitest'
import { formatCases, register, type ChildTraits, type FacetName, type FormatFixture, type ImageRequest } from '@blockloom/driver-testkit'
import { qcow2 } from '@blockloom/format-qcow2'

const FACETS: readonly FacetName[] = [
  'probe', 'creation', 'measure', 'backingChild', 'extents', 'writer', 'zero', 'discard', 'resize', 'compress', 'check', 'info',
  'snapshots', 'snapshots.create', 'snapshots.revert', 'snapshots.remove', 'backing',
]
/** With an external data file there is one place for each cluster. */
const NOT_WITH_DATA_FILE: readonly FacetName[] = ['compress', 'snapshots.create', 'snapshots.revert', 'snapshots.remove']
const NO_ROOM = 'a reference count of 1 bit has no room for a snapshot'

interface Configuration {
  readonly options: Readonly<Record<string, unknown>>
  /** Cases that this configuration makes a difference to; default all. */
  readonly about?: RegExp
  readonly exclude?: Readonly<Record<string, string>>
  readonly child?: ChildTraits
  readonly seed?: number
}

const CONFIGURATIONS: Readonly<Record<string, Configuration>> = {
  'version 2': { options: { compat: '0.10', cluster_size: 4096 } },
  'version 3': { options: { compat: '1.1', cluster_size: 4096 } },
  'clusters of 512 bytes': { options: { cluster_size: 512 } },
  'clusters of 64 KiB': { options: { cluster_size: 65536 }, about: /^(?!crash: power fails at any point of (growing|taking|removing))/ },
  'extended L2 entries': { options: { cluster_size: 16384, extended_l2: true } },
  'lazy refcounts': { options: { cluster_size: 4096, lazy_refcounts: true }, about: /^(facets|open|info|crash: power fails at any point of random|flush|errors: when)/ },
  'refcounts of 1 bit': {
    options: { cluster_size: 4096, refcount_bits: 1 },
    about: /^(facets|info|measure|write|concurrency|compress|discard|resize|snapshots|crash)/,
    exclude: {
      'snapshots: keep the disk as it was, by id and by name, through writes, close and open': NO_ROOM,
      'crash: power fails at any point of taking a snapshot; no byte of the guest is lost': NO_ROOM,
      'crash: power fails at any point of removing a snapshot; no byte of the guest is lost': NO_ROOM,
    },
  },
  'refcounts of 64 bits': {
    options: { cluster_size: 512, refcount_bits: 64 },
    about: /^(facets|info|measure|write|concurrency|compress|discard|resize|snapshots|check|errors|crash)/,
  },
  'an external data file': { options: { cluster_size: 4096, data_file: 'disk.data' } },
  'an external data file that is a raw image': {
    options: { cluster_size: 4096, data_file: 'disk.data', data_file_raw: true },
    about: /^(facets|open|create|zero|discard|resize|extents|errors|flush)/,
    seed: 4,
  },
  'zstd': { options: { cluster_size: 4096, compression_type: 'zstd' }, about: /^(facets|open|info|compress|hostile|errors: any read)/ },
  'a file whose gaps are garbage': {
    options: { cluster_size: 4096 },
    about: /^(open|create|write|zero|discard|resize|backing|compress|snapshots|errors|crash: power fails at any point of (random|growing))/,
    child: { requestAlignment: 512, zeroInit: false },
  },
}

for (const [index, [title, { options, about, exclude = {}, child, seed = 1 + index }]] of Object.entries(CONFIGURATIONS).entries()) {
  register(
    formatCases({ exclude, seed }).filter(({ name }) => about?.test(name) ?? true),
    () => ({ ...fixture(options), ...(child && { child }) }),
    { describe, it },
    `qcow2, ${title}`,
  )
}

function fixture(options: Readonly<Record<string, unknown>>): FormatFixture {
  const facets = FACETS.filter((facet) => options['data_file'] === undefined || !NOT_WITH_DATA_FILE.includes(facet))
  const createOptions = ({ size, backing }: ImageRequest) => ({
    ...options, size, ...(backing && { backing_file: backing.filename, backing_fmt: backing.format }),
  })
  // With the smallest clusters this takes several L2 tables and refcount blocks.
  return { driver: qcow2, facets, createOptions, ...(options['cluster_size'] === 512 && { imageSize: 132_608 }) }
}
