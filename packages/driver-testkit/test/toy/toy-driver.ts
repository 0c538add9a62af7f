import {
  BlockError, ChildRole, defineDriver, limits, option, type AmendHow, type ChildHandle, type ChildSlot, type CreateContext, type Driver, type Instance, type MeasureContext, type OpenContext,
} from '@blockloom/block-driver'
import type { FacetName, FormatFixture } from '@blockloom/driver-testkit'
import { encodeHeader, isToy, MAX_ENTRIES, SECTOR } from './on-disk.ts'
import { checkToy } from './toy-check.ts'
import { ToyImage } from './toy-image.ts'
import { resizeToy } from './toy-resize.ts'
import { snapshotsOf } from './toy-snapshots.ts'

export const TOY_FACETS: readonly FacetName[] = [
  'probe', 'creation', 'measure', 'backingChild', 'extents', 'writer', 'zero', 'discard', 'resize', 'compress', 'check', 'snapshots',
  'snapshots.create', 'snapshots.revert', 'snapshots.remove', 'backing', 'backing.change', 'makeEmpty', 'amend',
  'reopen', 'info', 'invalidate',
]

const createOptions = {
  size: option.size('Virtual disk size', { required: true }),
  cluster_size: option.size('Allocation unit', { default: 4096, min: SECTOR, max: 2097152 }),
  backing_file: option.string('File name of a base image'),
  backing_fmt: option.string('Image format of the base image'),
}

const amendOptions = { backing_fmt: option.string('Image format of the base image') }

type Image = new (file: ChildHandle, backing: ChildSlot, readOnly: boolean) => ToyImage

/** What a broken driver changes. */
export interface Changes {
  readonly Image?: Image
  /** Replaces members of the instance. */
  readonly instance?: (image: ToyImage, right: Instance) => Partial<Instance>
  /** Replaces what is done to open. */
  readonly open?: (context: OpenContext, right: () => Promise<Instance>) => Promise<Instance>
  /** Replaces members of the table. */
  readonly table?: (right: Driver) => object
}

export function toyDriver(changes: Changes = {}): Driver {
  const openRight = async (context: OpenContext): Promise<Instance> => {
    const file = await context.child('file', { role: ChildRole.DATA + ChildRole.METADATA + ChildRole.PRIMARY })
    const backing = await context.optionalChild('backing', { role: ChildRole.COW })
    const image = new (changes.Image ?? ToyImage)(file, backing, context.mode.readOnly)
    await image.load(context.mode.forCheck)
    const right = instanceOf(image)
    return changes.instance ? { ...right, ...changes.instance(image, right) } : right
  }
  const right = defineDriver({
    name: 'toy',
    kind: 'format',
    summary: 'a toy format',
    options: { 'cache-size': option.size('How much of the table is kept in memory', { default: 65536, reopen: true }) },
    children: {
      file: { doc: 'Where the image is stored', presence: 'required' },
      backing: { doc: 'Where absent ranges are read', presence: 'implicit' },
    },
    open: (context) => (changes.open ? changes.open(context, () => openRight(context)) : openRight(context)),
    probe: (head) => (isToy(head) ? 100 : 0),
    creation: { options: createOptions, amend: amendOptions, create, measure },
  }) as unknown as Driver
  return changes.table ? (changes.table(right) as Driver) : right
}

export function toyFixture(changes: Changes = {}): FormatFixture {
  return { driver: toyDriver(changes), facets: TOY_FACETS, amendOptions: { backing_fmt: 'raw' } }
}

function instanceOf(image: ToyImage): Instance {
  return {
    limits: limits({ clusterSize: image.cluster, discardAlignment: SECTOR }),
    size: () => image.header.size,
    read: (offset, into) => image.read(offset, into),
    close: () => image.close(),
    extents: (offset, bytes) => image.extents(offset, bytes),
    check: { check: (options) => checkToy(image, options) },
    info: async () => ({ 'cluster-size': image.cluster, snapshots: image.snapshots.length }),
    invalidate: () => image.load(),
    reopen: async () => ({ commit: () => {}, abort: () => {} }),
    snapshots: snapshotsOf(image),
    backing: {
      get named() {
        return image.header.backing
      },
      ...(!image.readOnly && { change: (to) => image.writeHeader({ backing: to }) }),
    },
    ...(!image.readOnly && {
      writer: { write: (offset: number, from: Uint8Array) => image.write(offset, from), flush: () => image.flush() },
      zero: (offset: number, bytes: number) => image.zero(offset, bytes),
      discard: (offset: number, bytes: number) => image.discard(offset, bytes),
      makeEmpty: () => image.makeEmpty(),
      amend: { amend: (options: Readonly<Record<string, unknown>>, how: AmendHow) => amendToy(image, options, how) },
      resize: { preallocations: ['off'] as const, resize: (size: number) => resizeToy(image, size) },
      compress: { granularity: image.cluster, write: (offset: number, from: Uint8Array) => image.writeCompressed(offset, from) },
    }),
  }
}

async function amendToy(image: ToyImage, options: Readonly<Record<string, unknown>>, how: AmendHow): Promise<void> {
  const { backing } = image.header
  const format = options['backing_fmt']
  how.progress(0, 1)
  if (backing !== null && typeof format === 'string') await image.writeHeader({ backing: { ...backing, format } })
  how.progress(1, 1)
}

interface CreateOptions {
  readonly size: number
  readonly cluster_size: number
  readonly backing_file?: string
  readonly backing_fmt?: string
}

async function create({ options, file }: CreateContext<CreateOptions>): Promise<void> {
  const { tableOffset, tableEntries, clusterBits, end } = layout(options)
  if (tableEntries > MAX_ENTRIES) throw new BlockError('range', 'The image is too large', { errno: 'EFBIG' })
  const backing = options.backing_file === undefined ? null
    : { filename: options.backing_file, ...(options.backing_fmt !== undefined && { format: options.backing_fmt }) }
  await file!.resize(0)
  await file!.write(tableOffset, new Uint8Array(end - tableOffset))
  await file!.write(0, encodeHeader({ clusterBits, size: options.size, tableOffset, tableEntries, directoryOffset: 0, snapshots: 0, backing }))
  await file!.flush('stable')
}

async function measure({ options, size, source }: MeasureContext<CreateOptions>) {
  const { end } = layout({ ...options, size })
  let data = 0
  for await (const extent of source ?? []) if (extent.kind === 'data') data += extent.bytes
  const whole = (bytes: number) => Math.ceil(bytes / options.cluster_size) * options.cluster_size
  return { required: end + whole(data), fullyAllocated: end + whole(size) }
}

function layout({ size, cluster_size }: CreateOptions) {
  const tableEntries = Math.max(64, Math.ceil(size / cluster_size))
  const end = Math.ceil((cluster_size + tableEntries * 8) / cluster_size) * cluster_size
  return { tableOffset: cluster_size, tableEntries, clusterBits: Math.log2(cluster_size), end }
}
