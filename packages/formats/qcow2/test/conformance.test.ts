import { describe, it } from 'vitest'
import { formatCases, register, type FacetName, type FormatFixture, type ImageRequest } from '@blockloom/driver-testkit'
import { qcow2 } from '@blockloom/format-qcow2'

const FACETS: readonly FacetName[] = [
  'probe', 'creation', 'backingChild', 'extents', 'writer', 'zero', 'discard', 'resize', 'compress', 'snapshots', 'backing',
]
const CONFIGURATIONS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'version 2': { compat: '0.10', cluster_size: 4096 },
  'version 3': { compat: '1.1', cluster_size: 4096 },
  'clusters of 512 bytes': { cluster_size: 512 },
  'clusters of 64 KiB': { cluster_size: 65536 },
  'extended L2 entries': { cluster_size: 16384, extended_l2: true },
  'lazy refcounts': { cluster_size: 4096, lazy_refcounts: true },
  'refcounts of 1 bit': { cluster_size: 4096, refcount_bits: 1 },
  'refcounts of 64 bits': { cluster_size: 4096, refcount_bits: 64 },
  'an external data file': { cluster_size: 4096, data_file: 'disk.data' },
  'zstd': { cluster_size: 4096, compression_type: 'zstd' },
}

for (const [title, options] of Object.entries(CONFIGURATIONS)) {
  register(formatCases(), () => fixture(options), { describe, it }, `qcow2, ${title}`)
}

function fixture(options: Readonly<Record<string, unknown>>): FormatFixture {
  const facets = FACETS.filter((facet) => options['data_file'] === undefined || facet !== 'compress')
  const createOptions = ({ size, backing }: ImageRequest) => ({
    ...options, size, ...(backing && { backing_file: backing.filename, backing_fmt: backing.format }),
  })
  return { driver: qcow2, facets, createOptions }
}
