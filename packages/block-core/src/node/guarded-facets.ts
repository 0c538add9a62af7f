import { BlockError, type AmendFacet, type BackingFacet, type BitmapFacet, type CheckFacet, type FilterInstance, type SnapshotFacet } from '@blockloom/block-driver'

/** Runs a change of an image beside its requests: drained, and known to the node afterwards. @internal */
export type Change = <T>(work: () => Promise<T>) => Promise<T>

/** The facets of an instance that change metadata, as users get them. @internal */
export interface GuardedFacets {
  readonly check?: CheckFacet
  readonly snapshots?: SnapshotFacet
  readonly bitmaps?: BitmapFacet
  readonly backing?: BackingFacet
  readonly amend?: AmendFacet
  readonly makeEmpty?: () => Promise<void>
}

/**
 * Wraps what changes metadata, so that no request is in flight meanwhile, and size and flush state of the node are
 * right afterwards. What only reads is passed on as it is; what is absent stays absent.
 *
 * @param assertReplaceable - throws if something depends on the disk as it is
 * @internal
 */
export function guardFacets(instance: FilterInstance, change: Change, assertReplaceable: () => void): GuardedFacets {
  const { check, snapshots, bitmaps, backing, amend, makeEmpty } = instance
  return {
    ...(check && { check: guardCheck(check, change) }),
    ...(snapshots && { snapshots: guardSnapshots(snapshots, change, assertReplaceable) }),
    ...(bitmaps && { bitmaps: guardBitmaps(bitmaps, change) }),
    ...(backing && { backing: guardBacking(backing, change) }),
    ...(amend && { amend: { amend: (options, how) => change(() => amend.amend(options, how)) } }),
    ...(makeEmpty && { makeEmpty: () => change(() => makeEmpty.call(instance)) }),
  }
}

function guardCheck(facet: CheckFacet, change: Change): CheckFacet {
  return {
    ...(facet.fixes && { fixes: facet.fixes }),
    check: async (options) => {
      if (options.fix === 'none') return facet.check(options)
      if (facet.fixes?.includes(options.fix) === true) return change(() => facet.check(options))
      throw new BlockError('unsupported', 'This image cannot be repaired here', { detail: { option: 'fix' } })
    },
  }
}

function guardSnapshots(facet: SnapshotFacet, change: Change, assertReplaceable: () => void): SnapshotFacet {
  const { create, revert, remove } = facet
  return {
    ...facet,
    list: () => facet.list(),
    openReadOnly: (select) => facet.openReadOnly(select),
    ...(create && { create: (snapshot) => change(() => create.call(facet, snapshot)) }),
    ...(revert && {
      revert: (select) =>
        change(() => {
          assertReplaceable()
          return revert.call(facet, select)
        }),
    }),
    ...(remove && { remove: (select) => change(() => remove.call(facet, select)) }),
  }
}

function guardBitmaps(facet: BitmapFacet, change: Change): BitmapFacet {
  const { store, remove, assertStorable } = facet
  return {
    ...facet,
    list: () => facet.list(),
    load: (name, chunk) => facet.load(name, chunk),
    ...(store && { store: (contents) => change(() => store.call(facet, contents)) }),
    ...(assertStorable && { assertStorable: (bitmap) => assertStorable.call(facet, bitmap) }),
    ...(remove && { remove: (name) => change(() => remove.call(facet, name)) }),
  }
}

function guardBacking(facet: BackingFacet, change: Change): BackingFacet {
  const to = facet.change
  return {
    get named() {
      return facet.named
    },
    ...(to && { change: (reference) => change(() => to.call(facet, reference)) }),
  }
}
