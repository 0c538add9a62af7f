import { describe, it } from 'vitest'
import { formatCases, register, type ChildTraits, type FacetName, type FormatFixture, type ImageRequest } from '@blockloom/driver-testkit'
import { qcow2 } from '@blockloom/format-qcow2'

const FACETS: readonly FacetName[] = [
  'probe', 'creation', 'measure', 'backingChild', 'extents', 'writer', 'zero', 'discard', 'resize', 'compress', 'check', 'info',
  'snapshots', 'snapshots.create', 'snapshots.revert', 'snapshots.remove', 'backing', 'backing.change', 'makeEmpty', 'amend', 'bitmaps', 'bitmaps.store', 'bitmaps.remove', 'aioContext',
]
/** With an external data file there is one place for each cluster. */
const NOT_WITH_DATA_FILE: readonly FacetName[] = ['compress', 'snapshots.create', 'snapshots.revert', 'snapshots.remove']
const NOT_IN_VERSION_2: readonly FacetName[] = ['bitmaps.store', 'bitmaps.remove']
const NO_ROOM = 'a reference count of 1 bit has no room for a snapshot'

/** What is encrypted is not compressed. */
const NOT_ENCRYPTED: readonly FacetName[] = ['compress']

interface Configuration {
  readonly options: Readonly<Record<string, unknown>>
  /** Cases that this configuration makes a difference to; default all. */
  readonly about?: RegExp
  readonly exclude?: Readonly<Record<string, string>>
  readonly child?: ChildTraits
  readonly seed?: number
  /** What it is amended with. */
  readonly amend: Readonly<Record<string, unknown>>
}

/** Cases that every configuration makes a difference to. */
const ALWAYS = /^(amend|makeEmpty: leaves|crash: power fails at any point of amending)/


const CONFIGURATIONS: Readonly<Record<string, Configuration>> = {
  'version 2': { amend: { compat: '1.1', refcount_bits: 8, lazy_refcounts: true }, options: { compat: '0.10', cluster_size: 4096 } },
  'version 3': { amend: { compat: '0.10' }, options: { compat: '1.1', cluster_size: 4096 } },
  'clusters of 512 bytes': { amend: { refcount_bits: 64 }, options: { cluster_size: 512 } },
  'clusters of 64 KiB': { amend: { refcount_bits: 32, lazy_refcounts: true }, options: { cluster_size: 65536 }, about: /^(?!crash: power fails at any point of (growing|taking|removing))/ },
  'extended L2 entries': { amend: { refcount_bits: 2 }, options: { cluster_size: 16384, extended_l2: true } },
  'lazy refcounts': { amend: { lazy_refcounts: false }, options: { cluster_size: 4096, lazy_refcounts: true }, about: /^(facets|open|info|crash: power fails at any point of random|flush|errors: when)/ },
  'refcounts of 1 bit': {
    amend: { refcount_bits: 16, compat: '0.10' },
    options: { cluster_size: 4096, refcount_bits: 1 },
    about: /^(facets|info|measure|write|concurrency|compress|discard|resize|snapshots|crash)/,
    exclude: {
      'snapshots: keep the disk as it was, by id and by name, through writes, close and open': NO_ROOM,
      'crash: power fails at any point of taking a snapshot; no byte of the guest is lost': NO_ROOM,
      'crash: power fails at any point of removing a snapshot; no byte of the guest is lost': NO_ROOM,
    },
  },
  'refcounts of 64 bits': {
    amend: { refcount_bits: 4 },
    options: { cluster_size: 512, refcount_bits: 64 },
    about: /^(facets|info|measure|write|concurrency|compress|discard|resize|snapshots|check|errors|crash)/,
  },
  'an external data file': { amend: { data_file: 'another name.data', refcount_bits: 1 }, options: { cluster_size: 4096, data_file: 'disk.data' } },
  'an external data file that is a raw image': {
    amend: { data_file_raw: false },
    options: { cluster_size: 4096, data_file: 'disk.data', data_file_raw: true },
    about: /^(facets|open|create|zero|discard|resize|extents|errors|flush)/,
    seed: 4,
  },
  'zstd': { amend: { lazy_refcounts: true }, options: { cluster_size: 4096, compression_type: 'zstd' }, about: /^(facets|open|info|compress|hostile|errors: any read)/ },
  'a file whose gaps are garbage': {
    amend: { compat: '0.10' },
    options: { cluster_size: 4096 },
    about: /^(open|create|write|zero|discard|resize|backing|compress|snapshots|errors|crash: power fails at any point of (random|growing))/,
    child: { requestAlignment: 512, zeroInit: false },
  },
  'LUKS': {
    amend: { encrypt: { state: 'active', 'new-secret': 's', 'iter-time': 0 } },
    options: { cluster_size: 4096, encrypt: { format: 'luks', 'key-secret': 's', 'cipher-alg': 'aes-128', 'iter-time': 0 } },
    about: /^(facets|open|info|create|measure|write|zero|discard|resize|backing|extents|concurrency|snapshots: keep|check|crash: power fails at any point of random)/,
  },
  'LUKS, extended L2 entries': {
    amend: { refcount_bits: 8 },
    options: { cluster_size: 16384, extended_l2: true, encrypt: { format: 'luks', 'key-secret': 's', 'cipher-alg': 'aes-128', 'iter-time': 0 } },
    about: /^(facets|write|zero|discard|resize|backing|concurrency)/,
  },
  'the old AES': { amend: { compat: '1.1' }, options: { compat: '0.10', cluster_size: 4096, encrypt: { format: 'aes', 'key-secret': 's' } }, about: /^(facets|open|create|write|zero|discard|resize|backing|snapshots|extents|measure|errors|flush)/ },
}

for (const [index, [title, { options, about, exclude = {}, child, seed = 1 + index, amend }]] of Object.entries(CONFIGURATIONS).entries()) {
  register(
    formatCases({ exclude, seed }).filter(({ name }) => about === undefined || ALWAYS.test(name) || about.test(name)),
    () => ({ ...fixture(options), amendOptions: amend, ...(child && { child }) }),
    { describe, it },
    `qcow2, ${title}`,
  )
}

function fixture(options: Readonly<Record<string, unknown>>): FormatFixture {
  const absent = [...(options['data_file'] === undefined ? [] : NOT_WITH_DATA_FILE), ...(options['encrypt'] === undefined ? [] : NOT_ENCRYPTED), ...(options['compat'] === '0.10' ? NOT_IN_VERSION_2 : [])]
  const facets = FACETS.filter((facet) => !absent.includes(facet))
  const createOptions = ({ size, backing }: ImageRequest) => ({
    ...options, size, ...(backing && { backing_file: backing.filename, backing_fmt: backing.format }),
  })
  const unlock = options['encrypt'] === undefined ? {} : { options: { encrypt: { 'key-secret': 's' } }, secrets: { s: 'open sesame' } }
  // With the smallest clusters this takes several L2 tables and refcount blocks.
  return { driver: qcow2, facets, createOptions, ...unlock, ...(options['cluster_size'] === 512 && { imageSize: 132_608 }) }
}
