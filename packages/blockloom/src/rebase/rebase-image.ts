import type { BlockNode } from '@blockloom/block-core'
import { BlockError, isBlockError, type BackingReference, type BlockErrorCode, type BlockErrorInit } from '@blockloom/block-driver'
import { backingPath } from '../backing-path.ts'
import type { DiskImage } from '../disk-image.ts'
import { BackingView } from './backing-view.ts'
import { commonLayer, isSameImage, layersOf, withoutFilters } from './common-layers.ts'
import { copyDifferences } from './copy-differences.ts'

/** @public */
export interface RebaseOptions {
  /**
   * The new backing file as the image is to name it: relative names count from the image's own folder. `null` makes the
   * image stand alone.
   */
  readonly backing: BackingReference | null
  /**
   * Change the name only: the new backing file has to read the same as the old one. Neither of them is opened, so the
   * overlay may be open without its backing file. Default false.
   */
  readonly unsafe?: boolean
  /** Compress what is copied into the overlay. Default false. */
  readonly compress?: boolean
  /** Host cache of the new backing chain. */
  readonly cache?: { readonly direct?: boolean; readonly 'no-flush'?: boolean }
  /** Tolerate writers to the new backing chain in other processes. Default false. */
  readonly forceShare?: boolean
  /** Bytes of the disk that were looked at. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void
  readonly signal?: AbortSignal
}

/**
 * Puts an image on another backing file without changing what it reads as: what the old chain has below it and the new
 * one has not is copied into the image first. Only what differs is stored, in whole clusters, and zeroes stay zeroes.
 * What both chains have in common is not read.
 *
 * After a failure or an abort the image still names the old backing file and reads the same. Internal snapshots are not
 * looked at: they read through to the new backing file. The open image keeps reading from the old chain until it is
 * opened again.
 *
 * @example
 * ```ts
 * await using disk = await openImage('overlay.qcow2', { format: 'qcow2', write: true, implicit: 'allow' })
 * await rebaseImage(disk, { backing: { filename: 'golden-2.qcow2', format: 'qcow2' } })
 * ```
 * @param overlay - open for writing, with its backing chain unless `unsafe`
 * @throws BlockError `invalid` without a format; `unsupported` if the image cannot name a backing file; `detail.stage`
 * says what failed: `open` the new backing file, reading `old` or `new`, writing the `overlay`, changing the `header`
 * @public
 */
export async function rebaseImage(overlay: DiskImage, options: RebaseOptions): Promise<void> {
  const { backing, unsafe = false, compress = false, signal } = options
  const node = withoutFilters(overlay.node)
  const change = changeOf(node, backing)
  if (compress && node.compressGranularity === undefined) {
    throw new BlockError('unsupported', 'Compression not supported for this file format', { detail: { option: 'compress' } })
  }
  signal?.throwIfAborted()
  if (!unsafe) {
    await copyFrom(overlay, node, options)
    // The copies have to be there before the old chain is gone.
    await overlay.flush()
  }
  signal?.throwIfAborted()
  try {
    await change(backing)
    await overlay.flush()
  } catch (error) {
    if (!isBlockError(error)) throw error
    throw cannotChange(backing, error.code, error.message, { errno: error.errno, cause: error })
  }
}

function changeOf(node: BlockNode, backing: BackingReference | null): (to: BackingReference | null) => Promise<void> {
  if (backing !== null && (backing.format === undefined || backing.format === '')) throw cannotChange(backing, 'invalid', 'backing format must be specified')
  const change = node.backingReference?.change
  if (change === undefined) throw cannotChange(backing, 'unsupported', 'Operation not supported')
  return change
}

function cannotChange(backing: BackingReference | null, code: BlockErrorCode, why: string, init: BlockErrorInit = {}): BlockError {
  return new BlockError(code, `Could not change the backing file to '${backing?.filename ?? ''}': ${why}`, { ...init, detail: { option: 'backing', stage: 'header' } })
}

async function copyFrom(overlay: DiskImage, node: BlockNode, options: RebaseOptions): Promise<void> {
  const { compress = false, onProgress, signal } = options
  const old = node.backing
  const next = options.backing === null ? null : await openNew(overlay, options.backing.filename, options)
  try {
    const layers = layersOf(next)
    if (layers.some((layer) => isSameImage(layer, node))) {
      throw new BlockError('invalid', `Backing file '${options.backing!.filename}' creates an infinite loop.`, { detail: { option: 'backing' } })
    }
    const common = commonLayer(layersOf(old), layers)
    await copyDifferences({
      overlay: overlay.node,
      old: new BackingView(old === null ? null : withoutFilters(old), common?.old ?? null),
      new: new BackingView(next === null ? null : withoutFilters(next), common?.new ?? null),
      compress,
      onProgress,
      signal,
    })
  } finally {
    await next?.close()
  }
}

/** Opens the new backing file beside the old chain, as the image would. */
async function openNew(overlay: DiskImage, filename: string, { backing, cache, forceShare, signal }: RebaseOptions): Promise<BlockNode> {
  const resolved = backingPath(overlay.filename, filename)
  if (resolved === undefined) throw new BlockError('invalid', `Could not resolve backing filename: Cannot use relative backing file names for '${overlay.filename}'`, { detail: { option: 'backing' } })
  try {
    return await overlay.graph.openFilename(resolved, { format: backing!.format! }, {
      readOnly: true,
      ...(cache === undefined ? {} : { cache }),
      ...(forceShare === undefined ? {} : { forceShare }),
      ...(signal === undefined ? {} : { signal }),
    })
  } catch (error) {
    if (!isBlockError(error)) throw error
    throw new BlockError(error.code, `Could not open new backing file '${filename}': ${error.message}`, { errno: error.errno, cause: error, detail: { ...error.detail, stage: 'open' } })
  }
}
